package httpqueue

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/rollout"
)

// One table has the API: its description and docs/http.md have the same. (Where a server has no token the
// operator's are described too: as answered with 403.)
func TestEndpoints_AreDescribedAndListed(t *testing.T) {
	var description struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	require.NoError(t, json.Unmarshal(openAPI, &description))
	page, err := os.ReadFile("../docs/http.md")
	require.NoError(t, err)
	listed := regexp.MustCompile("(?m)^\\| `[A-Z]+ /v1/[^|]*\\|[^|]*\\|[^|]*\\|$").FindAllString(string(page), -1)

	var table, described []string
	for _, e := range endpoints {
		table = append(table, e.method+" "+e.path)
		var of struct {
			Responses map[string]json.RawMessage `json:"responses"`
			Security  json.RawMessage            `json:"security"`
		}
		operation := description.Paths[e.path][strings.ToLower(e.method)]
		require.NotNil(t, operation, "%s %s is not in openapi.json", e.method, e.path)
		require.NoError(t, json.Unmarshal(operation, &of))
		assert.Equal(t, map[authority]string{anyone: "[{}]", bearer: "", operator: ""}[e.who],
			strings.Join(strings.Fields(string(of.Security)), ""), "%s %s: who may", e.method, e.path)
		codes := slices.DeleteFunc(slices.Sorted(maps.Keys(of.Responses)), func(code string) bool { return code[0] != '2' })
		assert.Contains(t, listed, fmt.Sprintf("| `%s %s` | %s | %s |", e.method, e.path, strings.Join(codes, ", "), e.does), "docs/http.md")
	}
	for path, methods := range description.Paths {
		for method := range methods {
			if method != "parameters" {
				described = append(described, strings.ToUpper(method)+" "+path)
			}
		}
	}
	assert.ElementsMatch(t, table, described, "openapi.json")
	assert.Len(t, listed, len(table), "docs/http.md")
}

func TestEndpoints_APathIsMatchedWhole(t *testing.T) {
	for path, want := range map[string]string{
		"/v1/permits": "POST", "/v1/permits/a": "a PUT DELETE GET", "/v1/permits/a/identified": "a POST", "/v1/waits/k": "k DELETE",
		"/v1/permits/": "", "/v1/permits//identified": "", "/v1/permits/a/b": "", "/v1/permits/a/identified/": "", "/v1/waits/a/b": "",
		"/v1": "", "/v1/": "", "/v1/status/": "", "/v1/Status": "",
	} {
		id, found := endpointsAt(path)
		got := []string{}
		if id != "" {
			got = append(got, id)
		}
		for _, e := range found {
			got = append(got, e.method)
		}
		assert.Equal(t, want, strings.Join(got, " "), path)
	}
}

// Bounds are the same for a server, its description, the page and the clients in other languages.
func TestBounds_AreTheSameEverywhere(t *testing.T) {
	var description any
	require.NoError(t, json.Unmarshal(openAPI, &description))
	found := map[string]int{}
	look := func(name string, schema map[string]any) {
		for _, bound := range []string{"maximum", "maxLength"} {
			if value, ok := schema[bound].(float64); ok {
				want, known := map[string]float64{
					"shard": gatewayqueue.MaxShard, "shard_id": gatewayqueue.MaxShard, "shards": rollout.MaxShards,
					"max_wait_ms": float64(maxPoll.Milliseconds()), "max_concurrency": gatewayqueue.MaxBuckets, "who": MaxWho,
				}[name]
				if assert.True(t, !known || want == value, "%s: %s %v", name, bound, value); known {
					found[name]++
				}
			}
		}
	}
	var walk func(any)
	walk = func(value any) {
		switch value := value.(type) {
		case []any:
			for _, v := range value {
				walk(v)
			}
		case map[string]any:
			if schema, ok := value["schema"].(map[string]any); ok {
				name, _ := value["name"].(string)
				look(name, schema)
			}
			for name, v := range value {
				if schema, ok := v.(map[string]any); ok {
					look(name, schema)
				}
				walk(v)
			}
		}
	}
	walk(description)
	assert.Equal(t, map[string]int{"shard": 3, "shard_id": 1, "shards": 1, "max_wait_ms": 3, "max_concurrency": 1, "who": 2}, found)

	for path, text := range map[string]string{
		"../clients/js/lib/client.js":                           fmt.Sprintf("shard > %d)", gatewayqueue.MaxShard),
		"../clients/js/lib/gate.js":                             fmt.Sprintf("shard <= %d;", gatewayqueue.MaxShard),
		"../clients/python/src/gatewayqueue_discord/_client.py": fmt.Sprintf("want an integer, 0 to %d", gatewayqueue.MaxShard),
		"../gatewayproxy/internal/payload/payload.go":           fmt.Sprintf("0 <= id < count <= %d", gatewayqueue.MaxShard),
		"../dashboard/page/page.html":                           fmt.Sprintf(`id="order-who" type="text" maxlength="%d"`, MaxWho),
	} {
		file, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Contains(t, string(file), text, path)
	}
}

// A bot that asks a server has no use for the server, nor for its description.
func TestClient_CarriesNoServer(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a program")
	}
	bot := filepath.Join(t.TempDir(), "bot")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bot, "./testdata/bot").CombinedOutput()
	require.NoError(t, err, "%s", out)
	program, err := os.ReadFile(bot)
	require.NoError(t, err)
	assert.True(t, bytes.Contains(program, []byte("/v1/permits")), "the client is in it")
	assert.False(t, bytes.Contains(program, openAPI[:200]), "openapi.json is in it")
	for _, of := range []string{"httpqueue.(*Handler)", "httpqueue.NewServer"} {
		assert.False(t, bytes.Contains(program, []byte(of)), "%s is in it", of)
	}
}
