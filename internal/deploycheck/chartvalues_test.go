// The chart's values against what reads them: the program's flags, the schema, the
// table in its README.

package deploycheck

import (
	"encoding/json"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

const (
	schemaFile = chartDir + "/values.schema.json"
	timeForm   = `^(0|([0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h))+)$`
)

// theirOwn are flags that other values of the chart set.
var theirOwn = []string{"host", "port", "pod", "redis", "redis-file", "auth-token-file", "discord-token-file", "tls-cert", "tls-key", "help"}

var built struct {
	once sync.Once
	path string
	err  error
	out  []byte
}

// program is gatewayqueue itself.
func program(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		built.path = filepath.Join(subdir(t, "program"), "gatewayqueue")
		built.out, built.err = exec.CommandContext(t.Context(), "go", "build", "-C", "../../cmd/gatewayqueue", "-o", built.path, ".").CombinedOutput()
	})
	require.NoError(t, built.err, "%s", built.out)
	return built.path
}

// configSchema is the schema of the values in config, as the program says it of its
// flags.
func configSchema(t *testing.T, command string) map[string]any {
	t.Helper()
	help, err := exec.CommandContext(t.Context(), program(t), command, "--help").Output()
	require.NoError(t, err)
	properties := make(map[string]any)
	for _, f := range regexp.MustCompile(`(?m)^(?:  -., |      )--([a-z-]+)`).FindAllStringSubmatch(string(help), -1) {
		if flag := f[1]; !slices.Contains(theirOwn, flag) {
			properties[flag] = flagSchema(t, command, flag)
		}
	}
	require.Greater(t, len(properties), 10)
	// Others are refused by the template, which can say where they belong.
	return map[string]any{"type": "object", "properties": properties}
}

// flagSchema asks the program what a flag takes, by a value that the flag refuses.
func flagSchema(t *testing.T, command, flag string) map[string]any {
	t.Helper()
	// The second is refused where the first is not: nothing is started.
	out, err := exec.CommandContext(t.Context(), program(t), command, "--"+flag+"=~", "--log-level=~").CombinedOutput()
	require.Error(t, err)
	said := regexp.MustCompile(`--` + flag + ` is "~": want (.*)`).FindStringSubmatch(string(out))
	if said == nil {
		return map[string]any{"type": "string", "minLength": 1.0}
	}
	want := said[1]
	var least, most float64
	if n, _ := fmt.Sscanf(want, "a whole number from %f to %f", &least, &most); n == 2 {
		return map[string]any{"type": "integer", "minimum": least, "maximum": most}
	}
	switch {
	case want == "true or false":
		return map[string]any{"type": "boolean"}
	case strings.HasPrefix(want, "a time with its unit"):
		return map[string]any{"type": "string", "pattern": timeForm, "description": want}
	case strings.HasPrefix(want, "1 to 64 letters"):
		return map[string]any{"type": "string", "pattern": `^[A-Za-z0-9._-]{1,64}$`}
	case regexp.MustCompile(`^\w+( or \w+)+$`).MatchString(want):
		return map[string]any{"type": "string", "pattern": "^(" + strings.ReplaceAll(want, " or ", "|") + ")$"}
	}
	return map[string]any{"type": "string", "minLength": 1.0, "description": want}
}

func TestChartsSchema_KnowsTheProgramsFlags(t *testing.T) {
	var schema map[string]any
	require.NoError(t, json.Unmarshal([]byte(read(t, "deploy/helm/gatewayqueue/values.schema.json")), &schema))
	definitions := map[string]any{"serve": configSchema(t, "serve"), "proxy": configSchema(t, "proxy")}
	schema["definitions"] = definitions
	want, err := json.MarshalIndent(schema, "", "  ")
	require.NoError(t, err)
	same(t, schemaFile, string(want)+"\n")
	// A schema cannot compare times, nor say why a flag is not allowed: the templates do.
	flags := "# The program's flags, by command, and the ranges of times. scripts/manifests has made this.\n"
	for _, command := range []string{"serve", "proxy"} {
		flags += command + ":\n"
		properties := definitions[command].(map[string]any)["properties"].(map[string]any)
		for _, flag := range slices.Sorted(maps.Keys(properties)) {
			description, _ := properties[flag].(map[string]any)["description"].(string)
			if found := regexp.MustCompile(`^a time with its unit from (\w+) to (\w+),`).FindStringSubmatch(description); found != nil {
				flags += fmt.Sprintf("  %s: {least: %s, most: %s}\n", flag, found[1], found[2])
			} else {
				flags += fmt.Sprintf("  %s: {}\n", flag)
			}
		}
	}
	same(t, chartDir+"/files/flags.yaml", flags)
}

// node is a part of the schema.
type node struct {
	Properties map[string]*node
}

// walk calls f with every value: its path, its comment, and its default.
func walk(t *testing.T, schema *node, path string, values *yaml.Node, f func(path, comment, value string)) {
	t.Helper()
	names := slices.Collect(maps.Keys(schema.Properties))
	for i := 0; i < len(values.Content); i += 2 {
		name, value := values.Content[i], values.Content[i+1]
		inner, known := schema.Properties[name.Value]
		if !assert.True(t, known, "values.schema.json lacks %s%s", path, name.Value) {
			continue
		}
		names = slices.DeleteFunc(names, func(n string) bool { return n == name.Value })
		if inner.Properties != nil && len(value.Content) > 0 && !strings.HasSuffix(name.Value, "Probe") {
			walk(t, inner, path+name.Value+".", value, f)
			continue
		}
		var decoded any
		require.NoError(t, value.Decode(&decoded))
		text, err := json.Marshal(decoded)
		require.NoError(t, err)
		f(path+name.Value, strings.Join(strings.Fields(strings.ReplaceAll(name.HeadComment, "#", "")), " "), string(text))
	}
	if path == "" {
		names = slices.DeleteFunc(names, func(n string) bool { return n == "global" || n == "enabled" }) // a parent's
	}
	if path != "resources." {
		assert.Empty(t, names, "values.yaml lacks what values.schema.json has: %s", path)
	}
}

func TestChartsReadme_HasATableOfAllValues(t *testing.T) {
	var schema node
	require.NoError(t, json.Unmarshal([]byte(read(t, "deploy/helm/gatewayqueue/values.schema.json")), &schema))
	var values yaml.Node
	require.NoError(t, yaml.Unmarshal([]byte(read(t, "deploy/helm/gatewayqueue/values.yaml")), &values))
	table := "| value | default | what |\n|---|---|---|\n"
	walk(t, &schema, "", values.Content[0], func(path, comment, value string) {
		assert.NotEmpty(t, comment, "%s has no comment in values.yaml", path)
		table += fmt.Sprintf("| `%s` | `%s` | %s |\n", path, strings.ReplaceAll(value, "|", `\|`), strings.ReplaceAll(comment, "|", `\|`))
	})
	readme := read(t, "deploy/helm/gatewayqueue/README.md")
	before, rest, found := strings.Cut(readme, "<!-- values -->\n")
	require.True(t, found)
	_, after, found := strings.Cut(rest, "<!-- end -->\n")
	require.True(t, found)
	same(t, chartDir+"/README.md", before+"<!-- values -->\n"+table+"<!-- end -->\n"+after)
}
