package main_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestBadCommandLinesAreOneLineAndExit2(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"demo --shard 3":                      "gatewayqueue demo: there is no flag --shard: gatewayqueue demo --help lists them",
		"demo -x":                             "gatewayqueue demo: there is no flag -x: gatewayqueue demo --help lists them",
		"demo --shards":                       "gatewayqueue demo: --shards has no value: want shards to bring up",
		"demo --shards many":                  `gatewayqueue demo: --shards is "many": want a whole number from 1 to 4096`,
		"demo --shards 0":                     `gatewayqueue demo: --shards is "0": want a whole number from 1 to 4096`,
		"demo --shards 99999999999999999999":  `gatewayqueue demo: --shards is "99999999999999999999": want a whole number from 1 to 4096`,
		"demo --max-concurrency -1":           `gatewayqueue demo: --max-concurrency is "-1": want a whole number from 1 to 1024`,
		"demo --pods 0":                       `gatewayqueue demo: --pods is "0": want a whole number from 1 to 128`,
		"demo --pods 17":                      "gatewayqueue demo: --pods is 17: want 1 to --shards, which is 16",
		"demo --remaining 1001":               "gatewayqueue demo: --remaining is 1001: want 0 to --total, which is 1000",
		"demo --total 0":                      `gatewayqueue demo: --total is "0": want a whole number from 1 to 1000000`,
		"demo --window 5":                     `gatewayqueue demo: --window is "5": want a time with its unit from 50ms to 30s, such as 5s`,
		"demo --window 1h":                    `gatewayqueue demo: --window is "1h": want a time with its unit from 50ms to 30s, such as 5s`,
		"demo --margin -1s":                   `gatewayqueue demo: --margin is "-1s": want a time with its unit from 0s to 1m, such as 250ms`,
		"demo --dial soon":                    `gatewayqueue demo: --dial is "soon": want a time with its unit from 0s to 1m, such as 150ms`,
		"demo --mode both":                    `gatewayqueue demo: --mode is "both": want wait or acquire`,
		"demo --app a/b":                      `gatewayqueue demo: --app is "a/b": want 1 to 64 letters, digits, dots, dashes or underscores`,
		"demo --plot x.png":                   `gatewayqueue demo: --plot is "x.png": want a file that ends in .svg`,
		"demo --plot no/such/x.svg":           `gatewayqueue demo: --plot is "no/such/x.svg": want a file in a directory that exists`,
		"demo --kill-pod=perhaps":             `gatewayqueue demo: --kill-pod is "perhaps": want true or false`,
		"demo --kill-pod --shards 1 --pods 1": "gatewayqueue demo: --kill-pod needs 2 --shards or more: it kills half-way",
		"demo --keep":                         "gatewayqueue demo: --keep needs --redis: the embedded Redis ends with the demo",
		"demo now":                            `gatewayqueue demo: argument "now" is not wanted: gatewayqueue demo takes only flags`,
		"serve --port 99999":                  `gatewayqueue serve: --port is "99999": want a whole number from 0 to 65535`,
		"serve --applications":                "gatewayqueue serve: --applications needs --redis",
		"serve --replicas 1":                  "gatewayqueue serve: --replicas needs --redis",
		"serve --backoff 5":                   "gatewayqueue serve: --backoff needs --redis",
		"serve --pod a/b":                     `gatewayqueue serve: --pod is "a/b": want 1 to 64 letters, digits, dots, dashes or underscores`,
		"serve --allow-host a,b:80":           `gatewayqueue serve: --allow-host is "a,b:80": want names or addresses without a port, with commas between them, such as queue.example.org,10.0.0.7`,
		"serve --allow-host a,,b":             `gatewayqueue serve: --allow-host is "a,,b": want names or addresses without a port, with commas between them, such as queue.example.org,10.0.0.7`,
		"serve --discord-api s3cret@h":        "gatewayqueue serve: --discord-api is no base address: want one such as http://127.0.0.1:8080",
		"serve --reserve 3":                   "gatewayqueue serve: --reserve needs --redis",
		"serve --remaining 1001":              "gatewayqueue serve: --remaining is 1001: want 0 to --total, which is 1000",
		"proxy --reserve 3":                   "gatewayqueue proxy: --reserve needs --redis",
		"proxy --backoff 3":                   "gatewayqueue proxy: --backoff needs --redis",
		"proxy --replicas 1":                  "gatewayqueue proxy: --replicas needs --redis",
		"proxy --history=false":               "gatewayqueue proxy: --history needs --redis",
		"proxy --storm-floor 1":               "gatewayqueue proxy: --storm-floor needs --redis",
		"proxy --storm 0":                     `gatewayqueue proxy: --storm is "0": want a whole number from 1 to 10000000`,
		"proxy --linger 2h":                   `gatewayqueue proxy: --linger is "2h": want a time with its unit from 0s to 1h, such as 1m`,
		"proxy --max-hold 1m --linger 0s":     "gatewayqueue proxy: --max-hold needs --linger: a bot that is sent away would lose its place",
		"proxy --dial sometimes":              `gatewayqueue proxy: --dial is "sometimes": want early or late`,
		"proxy --tls-cert a.pem":              "gatewayqueue proxy: --tls-cert needs --tls-key",
		"proxy --tls-key a.pem":               "gatewayqueue proxy: --tls-key needs --tls-cert",
		"proxy --tls-cert no --tls-key no":    "gatewayqueue proxy: --tls-cert and --tls-key: open no: no such file or directory",
		"proxy --external http://s3cret@h":    "gatewayqueue proxy: --external is no address of a proxy: want one such as wss://gateway.example.org",
		"proxy --gateway wss://s3cret@h":      "gatewayqueue proxy: --gateway is no gateway's address: want one such as wss://gateway.discord.gg, without a path",
		"proxy --gateway-host ws://a,s3cret":  "gatewayqueue proxy: --gateway-host is no gateway's address: want one such as wss://gateway-us-east1-b.discord.gg, without a path",
		"proxy --gateway-host ws://a,,ws://b": `gatewayqueue proxy: --gateway-host is "ws://a,,ws://b": want addresses with commas between them`,
		"proxy --discord-api http://s3cret@h": "gatewayqueue proxy: --discord-api is no base address: want one such as https://discord.com",
		"proxy --max-connections 0":           `gatewayqueue proxy: --max-connections is "0": want a whole number from 1 to 1000000`,
		"proxy --pod a/b":                     `gatewayqueue proxy: --pod is "a/b": want 1 to 64 letters, digits, dots, dashes or underscores`,
		"proxy now":                           `gatewayqueue proxy: argument "now" is not wanted: gatewayqueue proxy takes only flags`,
		"wait":                                "gatewayqueue wait: --shard is missing: want the ID of the shard that is to identify",
		"wait --shard -1":                     `gatewayqueue wait: --shard is "-1": want a whole number from 0 to 2147483647`,
		"wait --shard 1 bot":                  `gatewayqueue wait: argument "bot" is not wanted: the command to run comes after --`,
		"wait bot -- --shard 1":               `gatewayqueue wait: argument "bot" is not wanted: the command to run comes after --`,
		"wait --shard 1 --replicas 1":         "gatewayqueue wait: --replicas needs --redis: a server has its own, serve --replicas",
		"wait --shard 1 --margin 2s":          "gatewayqueue wait: --margin needs --redis: a server has its own, serve --margin",
		"wait --shard 1 --url x --redis y":    "gatewayqueue wait: --url and --redis do not go together: the queue is behind one of them",
		"status --watch 2s":                   `gatewayqueue status: argument "2s" is not wanted: a time for --watch is written as --watch=2s`,
		"status --watch=1ms":                  `gatewayqueue status: --watch is "1ms": want a time with its unit from 100ms to 1h, such as 1s`,
		"status --url x --redis y":            "gatewayqueue status: --url and --redis do not go together: the queue is behind one of them",
		"status --url x":                      "gatewayqueue status: --url is no address of a server: want one such as http://queue:8080",
		"status --url http://a --app x":       "gatewayqueue status: --app needs --redis: a server has one queue",
		"status --auth-token-file x":          "gatewayqueue status: --auth-token-file needs --url",
		"pause":                               `gatewayqueue pause: --why is missing: want the reason, such as --why "Discord is down"`,
		"pause --why a --for 1ms":             `gatewayqueue pause: --for is "1ms": want a time with its unit from 1s to 8784h, such as 1s`,
		"resume":                              `gatewayqueue resume: --why is missing: want the reason, such as --why "Discord is down"`,
		"resume --why a --url x --redis y":    "gatewayqueue resume: --url and --redis do not go together: the queue is behind one of them",
		"audit --auth-token-file x":           "gatewayqueue audit: --auth-token-file needs --url",
		"audit now":                           `gatewayqueue audit: argument "now" is not wanted: gatewayqueue audit takes only flags`,
		"status --sort left":                  `gatewayqueue status: --sort is "left": want bucket, waiting or opens, and with --all app, waiting or left`,
		"status --all --app x":                "gatewayqueue status: --all and --app do not go together",
		"status --all --url http://a":         "gatewayqueue status: --all needs --redis: a server has one queue",
		"status --json --filter x":            "gatewayqueue status: --sort and --filter do not go with --json: it has everything",
		"version now":                         `gatewayqueue version: argument "now" is not wanted: gatewayqueue version takes only flags`,
		"status now":                          `gatewayqueue status: argument "now" is not wanted: gatewayqueue status takes only flags`,
		"fake-discord --remaining 1001":       "gatewayqueue fake-discord: --remaining is 1001: want 0 to --total, which is 1000",
		"fake-discord --latency soon":         `gatewayqueue fake-discord: --latency is "soon": want a time with its unit such as 300ms, a range such as 100ms-2s, or never`,
		"fake-discord --ready-delay 2s-1s":    `gatewayqueue fake-discord: --ready-delay is "2s-1s": want a time with its unit such as 300ms, a range such as 100ms-2s, or never`,
		"fake-discord --resume-host a:1":      `gatewayqueue fake-discord: --resume-host is "a:1": want a name or an address without a port`,
		"fake-discord --heartbeats-extend":    "gatewayqueue fake-discord: --heartbeats-extend needs --identify-within",
		"fake-discord --message-size 5":       "gatewayqueue fake-discord: --message-size needs --messages",
		"fake-discord --guild-size 5":         "gatewayqueue fake-discord: --guild-size needs --guilds",
		"fake-discord --tls-name a":           "gatewayqueue fake-discord: --tls-name needs --tls",
		"fake-discord --tls-dir a":            "gatewayqueue fake-discord: --tls-dir needs --tls",
		"fake-discord --json --plain":         "gatewayqueue fake-discord: --json and --plain do not go together: --json prints no lines",
		"fake-discord --until-ready 0":        `gatewayqueue fake-discord: --until-ready is "0": want a whole number from 1 to 1048576`,
		"fake-discord now":                    `gatewayqueue fake-discord: argument "now" is not wanted: gatewayqueue fake-discord takes only flags`,
		"statsu":                              `gatewayqueue: there is no command "statsu": did you mean status?`,
		"launch":                              `gatewayqueue: there is no command "launch": gatewayqueue --help lists them`,
	} {
		got := run(t, strings.Fields(line)...)
		assert.Equal(t, result{"", want + "\n", 2}, got, line)
	}
}

func TestHelpFitsATerminal(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"--help", "demo --help", "fake-discord --help", "history --help", "proxy --help", "serve --help", "status --help", "check --help", "plan --help", "wait --help", "pause --help", "resume --help", "audit --help"} {
		got := run(t, strings.Fields(line)...)
		assert.Zero(t, got.code)
		assert.NotContains(t, got.out, "Available Commands:\n  pod", "the command of a demo's processes is hidden")
		for _, l := range strings.Split(got.out, "\n") {
			assert.LessOrEqual(t, len(l), 96, "%s: %s", line, l)
		}
	}
}

func TestTroubleWithRedisIsOneLineAndExits1(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"demo", "status", "audit"} {
		for url, want := range map[string]string{
			"redis://127.0.0.1:1":   "nothing listens there: start redis-server",
			"redis://x.invalid:123": "there is no such host",
		} {
			got := run(t, command, "--redis", url)
			assert.Equal(t, 1, got.code, url)
			assert.Empty(t, got.out)
			assert.Contains(t, got.err, want)
			assert.Equal(t, 1, strings.Count(got.err, "\n"), "one line: %s", got.err)
		}
	}
}

func TestARedisURLThatIsNoneIsRefusedByEveryCommand(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"demo", "status", "proxy --port 0", "serve --port 0", "wait --shard 0 --timeout 1s"} {
		for _, url := range []string{"localhost:6379", "http://h", "redis://", "redis://h:x", "redis://h/db", "redis-cluster://h/1", "redis-sentinel://h", "redis://h?read_only=true"} {
			got := run(t, append(strings.Fields(command), "--redis", url)...)
			assert.Equal(t, 2, got.code, "%s %s", command, url)
			assert.Empty(t, got.out)
			assert.Contains(t, got.err, "is not one: ", "%s %s", command, url)
			assert.Equal(t, 1, strings.Count(got.err, "\n"), "one line: %s", got.err)
		}
	}
}

func TestPlotThatCannotBeWrittenIsKnownBeforeTheDemo(t *testing.T) {
	t.Parallel()
	got := run(t, "demo", "--plot", filepath.Join(t.TempDir(), "missing", "x.svg"))
	assert.Equal(t, 2, got.code)
	assert.Empty(t, got.out)
}

func TestProgramsDocNamesEveryCommand(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("main.go")
	require.NoError(t, err)
	doc, _, found := strings.Cut(string(source), "\npackage main\n")
	require.True(t, found)
	help := run(t, "--help").out
	_, help, found = strings.Cut(help, "Available Commands:\n")
	require.True(t, found, help)
	names := regexp.MustCompile(`(?m)^  ([a-z]+) `).FindAllStringSubmatch(strings.Split(help, "\n\n")[0], -1)
	require.NotEmpty(t, names)
	for _, name := range names {
		if name[1] != "help" {
			assert.Contains(t, doc, "gatewayqueue "+name[1]+" ", "main.go begins with what the program is")
		}
	}
}

func TestVersion_NamesTheCommit(t *testing.T) {
	t.Parallel()
	want := `^gatewayqueue \S+ \(commit ([0-9a-f]{40}|unknown: ).*\), go1\S* \S+/\S+\n$`
	assert.Regexp(t, want, run(t, "version").out)
	assert.Equal(t, run(t, "version"), run(t, "--version"))
}
