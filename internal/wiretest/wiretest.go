// Package wiretest has what tests of the gateway's wire need: decoders that are
// not ours, and payloads of any size.
package wiretest

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"

	"github.com/gatewayqueue/gatewayqueue/internal/citest"
)

// Exchange runs a program of another language, writes the messages to it and
// returns as many answers. A message is its length in 4 bytes, the highest
// first, and its bytes; so is an answer, and the program must give the answer
// to one message before it reads the next. Where there is no such program, or it
// ends with status 77 because it lacks something, the test skips; with CI set it
// fails.
func Exchange(t testing.TB, messages [][]byte, program string, args ...string) [][]byte {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		citest.Missing(t, program)
	}
	var in, complaints bytes.Buffer
	for _, message := range messages {
		in.Write(binary.BigEndian.AppendUint32(nil, uint32(len(message))))
		in.Write(message)
	}
	command := exec.CommandContext(t.Context(), path, args...)
	command.Stdin, command.Stderr = &in, &complaints
	out, err := command.Output()
	if command.ProcessState != nil && command.ProcessState.ExitCode() == 77 {
		citest.Missing(t, "what "+program+" needs: "+complaints.String())
	}
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", strings.Join(command.Args, " "), err, complaints.Bytes(), out)
	}
	var answers [][]byte
	for len(out) > 0 {
		if len(out) < 4 || len(out)-4 < int(binary.BigEndian.Uint32(out)) {
			t.Fatalf("%s: an answer is cut short: %q", program, out)
		}
		end := 4 + int(binary.BigEndian.Uint32(out))
		answers = append(answers, out[4:end])
		out = out[end:]
	}
	if len(answers) != len(messages) {
		t.Fatalf("%s: %d answers to %d messages\n%s", program, len(answers), len(messages), complaints.Bytes())
	}
	return answers
}

// Guild is the d of a GUILD_CREATE whose JSON has about size bytes: text as
// compressible as Discord's, with snowflakes, text of many alphabets, numbers of
// all kinds, and empty lists and maps. The same size gives the same guild.
func Guild(size int) map[string]any {
	random := rand.New(rand.NewPCG(1, uint64(size)))
	id := func() string { return fmt.Sprint(100000000000000000 + random.Uint64N(1<<59)) }
	members := []any{}
	guild := map[string]any{
		"id": id(), "name": `The "Größe" of \ 日本 🎉`, "icon": nil, "large": true, "unavailable": false,
		"member_count": 250000, "joined_at": "2026-11-26T10:00:00.000000+00:00", "features": []any{},
		"afk_timeout": 300, "premium_progress": 0.25, "lowest": -2147483649, "system_channel_id": id(),
		"voice_states": []any{}, "empty": map[string]any{},
	}
	const each = 355 // bytes, about
	for range max(1, size/each) {
		members = append(members, map[string]any{
			"user": map[string]any{
				"id": id(), "username": fmt.Sprintf("user%x", random.Uint32()), "discriminator": "0",
				"global_name": nil, "avatar": fmt.Sprintf("%016x%016x", random.Uint64(), random.Uint64()), "bot": random.IntN(20) == 0,
			},
			"roles": []any{id(), id(), id()}, "nick": nil, "mute": false, "deaf": false, "pending": false, "flags": random.IntN(300),
			"joined_at": fmt.Sprintf("20%02d-0%d-1%d", random.IntN(26), 1+random.IntN(9), random.IntN(10)),
		})
	}
	guild["members"] = members
	return guild
}

// JSON is v as JSON.
func JSON(t testing.TB, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
