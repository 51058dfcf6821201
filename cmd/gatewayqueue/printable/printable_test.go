package printable_test

import (
	"testing"

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
