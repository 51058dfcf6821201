// gatewayqueue fake-discord as built: a Discord for programs of any language.

package main_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
)

// fakeDiscord is a fake-discord that runs.
type fakeDiscord struct {
	t       *testing.T
	cmd     *exec.Cmd
	API     string // such as http://127.0.0.1:40404
	Gateway string
	intro   string
	out     chan string // all of standard output, at the end
	errs    chan string
}

// startDiscord starts the program and reads where it is.
func startDiscord(t *testing.T, args ...string) *fakeDiscord {
	t.Helper()
	d := &fakeDiscord{t: t, out: make(chan string, 1), errs: make(chan string, 1)}
	quick := []string{"fake-discord", "--port", "0", "--latency", "0s", "--transit", "0s", "--ready-delay", "0s"}
	d.cmd = command(t, append(quick, args...)...)
	stdout, err := d.cmd.StdoutPipe()
	require.NoError(t, err)
	stderr, err := d.cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, d.cmd.Start())
	told := make(chan string, 2)
	read := func(from *bufio.Scanner, to chan string) {
		var all strings.Builder
		for from.Scan() {
			all.WriteString(from.Text() + "\n")
			if strings.Contains(from.Text(), "  control  ") {
				told <- all.String()
			}
		}
		to <- all.String()
	}
	go read(bufio.NewScanner(stdout), d.out)
	go read(bufio.NewScanner(stderr), d.errs)
	select {
	case d.intro = <-told:
	case <-time.After(time.Minute):
		require.Fail(t, "it does not say where it is")
	}
	d.API = strings.TrimSuffix(regexp.MustCompile(`REST +(\S+)/api/v10`).FindStringSubmatch(d.intro)[1], "/")
	d.Gateway = regexp.MustCompile(`gateway +(\S+)`).FindStringSubmatch(d.intro)[1]
	return d
}

// end waits for the end, after signal if there is one.
func (d *fakeDiscord) end(signal os.Signal) result {
	d.t.Helper()
	if signal != nil {
		require.NoError(d.t, d.cmd.Process.Signal(signal))
	}
	got := result{out: <-d.out, err: <-d.errs}
	_ = d.cmd.Wait() // its exit code says it
	got.code = d.cmd.ProcessState.ExitCode()
	return got
}

// identify opens a connection, sends IDENTIFY and returns the payload that follows.
func (d *fakeDiscord) identify(client *http.Client, shard, shards int) (*websocket.Conn, string) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), time.Minute)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, d.Gateway+"/?v=10&encoding=json", &websocket.DialOptions{HTTPClient: client})
	require.NoError(d.t, err)
	d.t.Cleanup(func() { _ = ws.CloseNow() })
	_, hello, err := ws.Read(ctx)
	require.NoError(d.t, err)
	require.Contains(d.t, string(hello), `"op":10`)
	payload := fmt.Sprintf(`{"op":2,"d":{"token":%q,"intents":0,"shard":[%d,%d],"properties":{}}}`, gatewaytest.DefaultToken, shard, shards)
	require.NoError(d.t, ws.Write(ctx, websocket.MessageText, []byte(payload)))
	_, answer, err := ws.Read(ctx)
	require.NoError(d.t, err)
	return ws, string(answer)
}

func TestFakeDiscord_TheVerdictIsTheExitCode(t *testing.T) {
	t.Parallel()
	for _, signal := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		d := startDiscord(t, "--window", "1m")
		d.identify(nil, 0, 2)
		got := d.end(signal)
		assert.Zero(t, got.code, "%s", got.err)
		assert.Empty(t, got.err)
		assert.Regexp(t, `s  shard 0    IDENTIFY in bucket 0\n`, got.out)
		assert.Contains(t, got.out, "shard 0    READY")
		assert.Contains(t, got.out, "\n1 identify of 1 shard: 0 violations, 0 over budget, 999 remaining\n")
		assert.Contains(t, got.out, "ready at the end: 1\n")

		d = startDiscord(t, "--window", "1m")
		d.identify(nil, 0, 2)
		_, answer := d.identify(nil, 1, 2)
		assert.Contains(t, answer, `"op":9`)
		got = d.end(signal)
		assert.Equal(t, 1, got.code)
		assert.Equal(t, "gatewayqueue fake-discord: Discord would have punished 1 violation of the window and 0 IDENTIFYs over the budget\n", got.err)
		assert.Regexp(t, `s  shard 1    VIOLATION: IDENTIFY in bucket 0 only \d\.\d{3} s from the one before: op 9\n`, got.out)
	}
}

func TestFakeDiscord_EndsWhenSoManyAreReady(t *testing.T) {
	t.Parallel()
	d := startDiscord(t, "--max-concurrency", "2", "--until-ready", "2", "--for", "10m", "--json")
	d.identify(nil, 0, 2)
	d.identify(nil, 1, 2)
	got := d.end(nil)
	assert.Zero(t, got.code, "%s", got.err)
	var verdict struct {
		OK      bool
		Verdict gatewaytest.Verdict
		Ready   []int
		Shards  []gatewaytest.ShardReport
		Wrong   []gatewaytest.Identify
	}
	require.NoError(t, json.Unmarshal([]byte(got.out), &verdict), "standard output is JSON and nothing else: %s", got.out)
	assert.True(t, verdict.OK)
	assert.Equal(t, 2, verdict.Verdict.Identifies)
	assert.Equal(t, []int{0, 1}, verdict.Ready)
	assert.NotNil(t, verdict.Wrong)

	d = startDiscord(t, "--until-ready", "2", "--for", "300ms", "--json")
	got = d.end(nil)
	assert.Equal(t, 1, got.code)
	assert.Contains(t, got.err, "gatewayqueue fake-discord: 0 of 2 shards were ready: --for 300ms is over\n")
	assert.Contains(t, got.out, `"error": "0 of 2 shards were ready: --for 300ms is over"`)
	d = startDiscord(t, "--until-ready", "2")
	got = d.end(os.Interrupt)
	assert.Equal(t, 1, got.code)
	assert.Contains(t, got.err, "0 of 2 shards were ready: stopped (interrupt)\n")
}

func TestFakeDiscord_EndsAfterATime(t *testing.T) {
	t.Parallel()
	assert.Zero(t, startDiscord(t, "--for", "100ms").end(nil).code)
}

func TestFakeDiscord_IsControlledOverHTTP(t *testing.T) {
	t.Parallel()
	d := startDiscord(t, "--hosts", "2")
	d.identify(nil, 0, 1)
	post := func(path string) string {
		res, err := http.Post(d.API+path, "", nil)
		require.NoError(t, err)
		defer res.Body.Close()
		var body json.RawMessage
		require.NoError(t, json.NewDecoder(res.Body).Decode(&body))
		return res.Status + " " + string(body)
	}
	assert.Equal(t, `200 OK {"sessions":1}`, post("/control/invalidate"))
	assert.Equal(t, `400 Bad Request {"error":"there is no parameter \"shard\": want [shards]"}`, post("/control/reconnect?shard=1"))
	assert.Equal(t, `200 OK {"sessions":0}`, post("/control/host?host=1"))
	got := d.end(os.Interrupt)
	assert.Regexp(t, `shard 0    (READY, )?op 9\n`, got.out)
	assert.Regexp(t, `  host 1 +ws://127\.0\.0\.1:\d+\n`, got.out)
}
