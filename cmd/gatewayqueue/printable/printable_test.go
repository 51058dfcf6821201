package printable_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/printable"
)

func TestText_WritesWhatATerminalActsOn(t *testing.T) {
	for text, want := range map[string]string{
		"":                      "",
		"maintenance, später 界": "maintenance, später 界", "a\nb": `a\x0ab`,
		"a\x1b[2Jb\rc\x7fd":      `a\x1b[2Jb\x0dc\x7fd`,
		"a\u009bb\u202ec\u2066d": `a\u009bb\u202ec\u2066d`,
		"a\x9bb\xffc\u2028d\te":  `a\x9bb\xffc\u2028d\x09e`,
	} {
		assert.Equal(t, want, printable.Text(text))
	}
}

func TestStyled_LeavesOnlyStyles(t *testing.T) {
	assert.Equal(t, "\x1b[1;31mred\x1b[0m\n"+`\x1b[2J \x1b]0;title\x07`, printable.Styled("\x1b[1;31mred\x1b[0m\n\x1b[2J \x1b]0;title\x07"))
}

func TestJSON_EscapesWhatItLeavesToTerminals(t *testing.T) {
	value := map[string]string{"a\x7f": "b\u009bc\u202ed\u2066e\u061cf\x1b[2J\n\t später 界", "\xff": "x\x9b"}
	var out bytes.Buffer
	to := printable.JSON(&out)
	to.SetIndent("", "  ")
	assert.NoError(t, to.Encode(value))
	want := "{\n" + `  "a\u007f": "b\u009bc\u202ed\u2066e\u061cf\u001b[2J\n\t später 界",` + "\n" + `  "\ufffd": "x\ufffd"` + "\n}\n"
	assert.Equal(t, want, out.String()) //nolint:testifylint // The escapes are what it is about.
	var read map[string]string
	assert.NoError(t, json.Unmarshal(out.Bytes(), &read))
	assert.Equal(t, value["a\x7f"], read["a\x7f"], "a reader gets the same text")
}

func TestAll_ReachesEveryString(t *testing.T) {
	type inner struct{ Text string }
	type value struct {
		Text    string
		Names   []string
		Inner   inner
		Pointer *inner
		Map     map[string]inner
		Any     error
		At      time.Time
		N       int
		hidden  string
	}
	const evil, fit = "a\x1b[31mb", `a\x1b[31mb`
	at := time.Now()
	before := value{evil, []string{evil}, inner{evil}, &inner{evil}, map[string]inner{evil: {evil}}, nil, at, 5, "x"}
	assert.Equal(t, value{fit, []string{fit}, inner{fit}, &inner{fit}, map[string]inner{fit: {fit}}, nil, at, 5, "x"}, printable.All(before))
	assert.Equal(t, value{evil, []string{evil}, inner{evil}, &inner{evil}, map[string]inner{evil: {evil}}, nil, at, 5, "x"}, before, "it is a copy")
	assert.Equal(t, value{}, printable.All(value{}))
}
