package docs

import (
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// ban is a phrase: word is a part of it, by which files without it are passed over.
type ban struct{ word, pattern, why, write string }

// banned are words that readers of our English stumbled over. A space in a pattern also
// stands for the end of a line, and for the mark of the comment on the next.
var banned = []ban{
	{"most", `\b[Aa]t the most\b`, "not what one says of a figure", "at most"},
	{"least", `\b[Aa]t the least\b`, "not what one says of a figure", "at least"},
	{"new", `(\b|_)[Aa]new\b`, "archaic", "again, start over, replace"},
	{"end", `\b[Mm]end(s|ed|ing)?\b`, "one mends clothes", "fix, repair, help"},
	{"none", `\b[Ii]s none\b`, "leaves the reader to find out what is missing", "is invalid, is no ticket, without a pause, or nil"},
	{"hoever", `\b[Ww]hoever\b`, "a clause without a noun", "a client that, any pod that, anyone who"},
	{"ind", `\b[Mm]inds? not\b`, "not the order of words in English", "ignores, does not heed"},
	{"should", `\bas it should\b`, "does not say how", "properly, normal, or what is wrong"},
	{"", `(?i)\b(tired|resting|breaker)s?\b`, "another word for one concept", "backoff, backs off"},
	{"Who", `(?:^|(?://|#|--|\*) |[.:;|] )Who [^?.;|]*(?:[.;|]|\n\n|\z)`, "a clause without a noun, unless it is a question", "a cancelled waiter leaves at once"},
}

// prosePattern is a pattern of which a space also matches the end of a line.
func prosePattern(pattern string) *regexp.Regexp {
	return regexp.MustCompile("(?m)" + strings.ReplaceAll(pattern, " ", `(?: |[ \t]*\n[ \t]*(?:(?://|#|--|\*|>)[ \t]+)?)`))
}

// tracked are the text files that people of this project write, by their paths.
func tracked(t *testing.T) []string {
	t.Helper()
	list, err := exec.CommandContext(t.Context(), "git", "-C", root, "ls-files", "-z").Output()
	require.NoError(t, err)
	names := strings.Split(strings.Trim(string(list), "\x00"), "\x00")
	require.Greater(t, len(names), 500)
	return slices.DeleteFunc(names, func(name string) bool {
		return strings.Contains(name, "testdata/") || name == "internal/docs/words_test.go" || name == "LICENSE" ||
			slices.Contains([]string{".png", ".svg", ".sum"}, path.Ext(name))
	})
}

// unreleased is a changelog without the sections of older versions.
func unreleased(changelog string) string {
	at := regexp.MustCompile(`(?m)^## \[`).FindAllStringIndex(changelog, 3)
	if len(at) < 3 {
		return changelog
	}
	return changelog[:at[2][0]]
}

func TestWords_BannedOccurNowhere(t *testing.T) {
	patterns := make([]*regexp.Regexp, len(banned))
	for i, ban := range banned {
		patterns[i] = prosePattern(ban.pattern)
	}
	for _, file := range tracked(t) {
		text := read(t, file)
		if file == "CHANGELOG.md" {
			text = unreleased(text)
		}
		for i, ban := range banned {
			if !strings.Contains(text, ban.word) {
				continue
			}
			for _, at := range patterns[i].FindAllStringIndex(text, -1) {
				assert.Fail(t, "a banned phrase", "%s:%d: %q: %s. Write: %s.", file, 1+strings.Count(text[:at[0]], "\n"), text[at[0]:at[1]], ban.why, ban.write)
			}
		}
	}
}

func TestWords_PatternsFind(t *testing.T) {
	finds := func(text string) bool {
		return slices.ContainsFunc(banned, func(b ban) bool { return prosePattern(b.pattern).MatchString(text) })
	}
	for _, bad := range []string{
		"5 s at the most", "// 5 s at the\n// most", "#anew(", "_anew(", "It mends itself.", "a key that is none", "-- a key that is\n  -- none",
		"whoever asks", "it minds not", "a tired shard", "two resting shards", "no Breaker", "all is as it should be", "// Who waits is told.", "| Who stood first | x |", "# It ends. Who has\n# left is told.",
	} {
		assert.True(t, finds(bad), bad)
	}
	for _, good := range []string{"at most 5 s", "if x is None:", "// Who is it?", "\tWho string", "Order{Who: name}", "recommend it", "amended"} {
		assert.False(t, finds(good), good)
	}
}

// The table of words in docs/design.md is in order, and each word is one of the code's.
func TestWords_OfTheTableAreTheCodes(t *testing.T) {
	section, _, _ := strings.Cut(read(t, "docs/design.md"), "\n## Rules that always hold")
	var words []string
	for _, row := range regexp.MustCompile(`(?m)^\| ([a-z]+) \| .`).FindAllStringSubmatch(section, -1) {
		if row[1] != "word" {
			words = append(words, row[1])
		}
	}
	require.Greater(t, len(words), 30)
	assert.True(t, slices.IsSorted(words), words)
	assert.Equal(t, words, slices.Compact(slices.Clone(words)))
	var code strings.Builder
	for _, file := range tracked(t) {
		if ext := path.Ext(file); (ext == ".go" || ext == ".lua") && !strings.HasSuffix(file, "_test.go") {
			code.WriteString(read(t, file))
		}
	}
	for _, word := range words {
		assert.Regexp(t, `(?i)\b`+word, code.String(), word)
	}
}
