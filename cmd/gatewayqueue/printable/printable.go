// Package printable makes text fit for a terminal. What Redis or a server holds may have
// been written by anybody: with control characters it could move the cursor, clear the
// screen, or hide what it says.
package printable

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// styles are what gives text colour, and does nothing else (SGR).
var styles = regexp.MustCompile("\x1b\\[[0-9;:]*m")

// Text writes each character that a terminal acts on as an escape of Go's, such as \x1b:
// control characters, the end of a line too, marks of direction, line separators, and
// bytes that are not UTF-8.
func Text(s string) string {
	if fit(s) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case !acts(r):
			b.WriteRune(r)
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		s = s[size:]
	}
	return b.String()
}

// Styled does so with all but the styles and the lines of a text.
func Styled(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		lines[i] = styled(line)
	}
	return strings.Join(lines, "\n")
}

func styled(s string) string {
	if fit(s) {
		return s
	}
	var b strings.Builder
	end := 0
	for _, at := range styles.FindAllStringIndex(s, -1) {
		b.WriteString(Text(s[end:at[0]]) + s[at[0]:at[1]])
		end = at[1]
	}
	b.WriteString(Text(s[end:]))
	return b.String()
}

func fit(s string) bool { return utf8.ValidString(s) && strings.IndexFunc(s, acts) < 0 }

// acts says that a terminal does more with a character than to show it.
func acts(r rune) bool {
	switch {
	case r == '\u2028', r == '\u2029', r == '\u200e', r == '\u200f', r == '\u061c':
		return true
	case r >= '\u202a' && r <= '\u202e', r >= '\u2066' && r <= '\u2069':
		return true
	}
	return unicode.IsControl(r)
}
