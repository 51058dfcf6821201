// fake-discord in CI, as docs/fake-discord.md has it: the workflow, and a bot for it.

package main_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The workflow of the page, with a bot in the place of npm.
func TestFakeDiscord_TheWorkflowOfThePageWorks(t *testing.T) {
	t.Parallel()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash")
	}
	page, err := os.ReadFile("../../docs/fake-discord.md")
	require.NoError(t, err)
	step := regexp.MustCompile(`(?s)      - name: Bring the bot up.*?        run: \|\n(.*?)\n` + "```").FindSubmatch(page)
	require.NotNil(t, step)
	for _, c := range []struct{ bot, want string }{{"good", `"ok": true`}, {"bad", `"ok": false`}} {
		dir := t.TempDir()
		self, err := os.Executable()
		require.NoError(t, err)
		npm := "#!/bin/sh\nexec env " + scriptBot + "=" + c.bot + " " + self + "\n"
		require.NoError(t, os.WriteFile(filepath.Join(dir, "npm"), []byte(npm), 0o700))
		require.NoError(t, os.Symlink(program, filepath.Join(dir, "gatewayqueue")))
		// The port is the page's: another for each run here.
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		_, port, _ := net.SplitHostPort(listener.Addr().String())
		require.NoError(t, listener.Close())
		script := strings.ReplaceAll(string(step[1]), "8090", port)
		script = strings.Replace(script, "fake-discord ", "fake-discord --port "+port+" ", 1)
		cmd := exec.CommandContext(t.Context(), bash, "-e", "-o", "pipefail", "-c", script)
		cmd.Dir, cmd.Env = dir, append(environment(), "PATH="+dir+":"+os.Getenv("PATH"))
		cmd.WaitDelay = time.Minute
		out, err := cmd.CombinedOutput()
		assert.Equal(t, strings.Contains(c.want, "true"), err == nil, "%s", out)
		assert.Contains(t, string(out), c.want)
	}
}

// scriptBot is the environment variable that makes the test binary a bot: "good"
// brings four shards up as Discord wants it, "bad" all at once, again and again.
const scriptBot = "SCRIPT_BOT"

// beBot returns when it is told to end, as bots do.
func beBot(how string) {
	api, token := os.Getenv("DISCORD_API"), os.Getenv("DISCORD_TOKEN")
	shard := func(id int) {
		for {
			if how == "good" {
				time.Sleep(time.Duration(id/2) * 5500 * time.Millisecond)
			}
			ws, _, err := websocket.Dial(context.Background(), strings.Replace(api, "http", "ws", 1), nil)
			if err != nil {
				return // it has ended
			}
			payload := fmt.Sprintf(`{"op":2,"d":{"token":%q,"intents":0,"shard":[%d,4],"properties":{}}}`, token, id)
			_ = ws.Write(context.Background(), websocket.MessageText, []byte(payload))
			for {
				_, text, err := ws.Read(context.Background())
				if err != nil {
					return
				}
				if strings.Contains(string(text), `"op":9`) {
					break
				}
			}
			time.Sleep(time.Duration(1+id/2) * 5500 * time.Millisecond)
		}
	}
	var all sync.WaitGroup
	for id := range 4 {
		all.Go(func() { shard(id) })
	}
	all.Wait()
}
