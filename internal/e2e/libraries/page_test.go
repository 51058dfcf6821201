// What docs/libraries.md says, section by section.

package libraries

import (
	"bufio"
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	pagePath = "../../../docs/libraries.md"
	// queueURL is the server's address on the page.
	queueURL = "http://queue:8080"
	// gateSection has the command that starts a bot with a gate.
	gateSection = "A gate, for libraries on ws (JavaScript)"
)

// page has the fenced blocks of each section, by its heading and their language.
type page map[string]map[string]string

func readPage(t *testing.T) page {
	t.Helper()
	text, err := os.ReadFile(pagePath)
	require.NoError(t, err)
	p := make(page)
	var heading, language string
	var block strings.Builder
	inBlock := false
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		line := lines.Text()
		switch fence, isFence := strings.CutPrefix(line, "```"); {
		case isFence && !inBlock:
			inBlock, language = true, fence
			block.Reset()
		case isFence:
			inBlock = false
			if p[heading] == nil {
				p[heading] = make(map[string]string)
			}
			require.NotContains(t, p[heading], language, "%s: two blocks of a language", heading)
			p[heading][language] = block.String()
		case inBlock:
			block.WriteString(line + "\n")
		case strings.HasPrefix(line, "#"):
			heading = strings.TrimLeft(line, "# ")
		}
	}
	return p
}

// block is a section's program, as somebody would type it in.
func (p page) block(t *testing.T, heading, language string) string {
	t.Helper()
	text := p[heading][language]
	require.NotEmpty(t, text, "%s has no section %q with a block of %s", pagePath, heading, language)
	return text
}

// without is a program without what the queue adds: the lines that name it.
func without(program string) string {
	var rest strings.Builder
	for line := range strings.Lines(program) {
		if !strings.Contains(strings.ToLower(line), "queue") {
			rest.WriteString(line)
		}
	}
	return rest.String()
}
