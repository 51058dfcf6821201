// gatewayqueue fake-discord as built: a Discord for programs of any language.

package main_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
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

func TestFakeDiscord_BotsTrustItsCertificate(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "authority")
	d := startDiscord(t, "--tls", "--tls-dir", dir, "--tls-name", "fake.example.org")
	require.Regexp(t, `^https://127\.0\.0\.1:`, d.API)
	file := filepath.Join(dir, "ca.pem")

	authority, err := os.ReadFile(file)
	require.NoError(t, err)
	key, err := os.Stat(filepath.Join(dir, "ca-key.pem"))
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), key.Mode())
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(authority))
	client := func(name string) *http.Client {
		return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: name}}}
	}
	for _, name := range []string{"localhost", "127.0.0.1", "::1", "discord.com", "gateway.discord.gg", "gateway-us-east1-b.discord.gg", "fake.example.org"} {
		res, err := client(name).Get(d.API + "/api/v10/gateway")
		if assert.NoError(t, err, name) {
			_ = res.Body.Close()
		}
	}
	_, err = client("example.org").Get(d.API)
	assert.ErrorContains(t, err, "not example.org")
	_, answer := d.identify(client(""), 0, 1)
	assert.Contains(t, answer, `"resume_gateway_url":"wss://127.0.0.1:`)

	ask := map[string][]string{
		"node":    {"NODE_EXTRA_CA_CERTS", "-e", "fetch(process.argv[1]).then(async r => console.log(await r.text()))"},
		"python3": {"SSL_CERT_FILE", "-c", "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode())"},
	}
	for program, how := range ask {
		path, err := exec.LookPath(program)
		if err != nil && os.Getenv("CI") == "" {
			t.Logf("there is no %s", program)
			continue
		}
		require.NoError(t, err)
		for _, trust := range []bool{true, false} {
			cmd := exec.CommandContext(t.Context(), path, append(how[1:], d.API+"/api/v10/gateway")...)
			cmd.Env = os.Environ()
			if trust {
				cmd.Env = append(cmd.Env, how[0]+"="+file)
			}
			out, err := cmd.CombinedOutput()
			assert.Equal(t, trust, err == nil, "%s: %s", program, out)
			if trust {
				assert.Contains(t, string(out), "wss://127.0.0.1:")
			}
		}
	}
	assert.Contains(t, d.end(os.Interrupt).out, "NODE_EXTRA_CA_CERTS="+file)

	again := startDiscord(t, "--tls", "--tls-dir", dir)
	res, err := client("localhost").Get(again.API + "/api/v10/gateway")
	require.NoError(t, err, "the authority is the same")
	_ = res.Body.Close()

	require.NoError(t, os.WriteFile(file, []byte("x"), 0o600))
	got := run(t, "fake-discord", "--port", "0", "--tls", "--tls-dir", dir)
	assert.Equal(t, 1, got.code)
	assert.Contains(t, got.err, file+" is no authority that can be used (it is not in PEM): delete it and ca-key.pem, and a new one is made\n")
}

// Whoever starts first makes the authority, and all others have it.
func TestFakeDiscord_StartsAtOnceShareAnAuthority(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "authority")
	servers := make([]*fakeDiscord, 4)
	var all sync.WaitGroup
	for i := range servers {
		all.Go(func() { servers[i] = startDiscord(t, "--tls", "--tls-dir", dir) })
	}
	all.Wait()
	authority, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	require.NoError(t, err)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(authority))
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	for _, d := range servers {
		res, err := client.Get(d.API + "/api/v10/gateway")
		if assert.NoError(t, err) {
			_ = res.Body.Close()
		}
	}
}

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
