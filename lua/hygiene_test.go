package lua_test

import (
	"crypto/sha1"
	"encoding/hex"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/lua"
)

var scripts = []*lua.Script{
	lua.Claim, lua.Identified, lua.Renew, lua.Abandon, lua.Beat, lua.Sync, lua.Status, lua.Ready, lua.Postpone, lua.Remember, lua.Sight,
	lua.Record, lua.History,
	lua.Pause, lua.Audit,
}

// The scripts by their hashes, so that none changes by accident.
var hashes = map[string]string{
	"audit":      "2dcc71a5c32f005abf98e399090f75a400955f08",
	"pause":      "5cea37e7a6717624b491dfbb65be402a996091ac",
	"claim":      "71325634a02e127843ca4d15b2816761a2fb3a16",
	"identified": "87be513c43a643bb086bde336cf03c7fcc403bd7",
	"renew":      "0eefc21beffbdf00b6ab7ff692434412d79b1dfa",
	"abandon":    "e8289296a4f8d5ff95e293f1facf6909c038d018",
	"beat":       "052245816d104086454d5646b7e67884ccbec85b",
	"sync":       "84d219d3627d81f93fbca462da69d6d33f9de244",
	"status":     "022b4a91c227c456ebf96e69a39917bf256ab9e0",
	"remember":   "cfc09db2470bc4bd524ff2def308411b2a4e582c",
	"ready":      "f5a8be3529fb62df60ef8e1f3bbc5c8cb7767a29",
	"sight":      "33713587ac00d2d00eea7518272d82d3a0defcb8",
	"record":     "aece8804b7b5af60f23ff0d99047fbeea9ae4c6c",
	"history":    "a14a8592288d063cb54f1ec5acb83436ebcb8cc1",
	"postpone":   "dbde0010769c712f020df2237768a7597bdd49d3",
}

func TestNoScriptChangesByAccident(t *testing.T) {
	for _, s := range scripts {
		sum := sha1.Sum([]byte(s.Source))
		if got := hex.EncodeToString(sum[:]); got != hashes[s.Name] {
			t.Errorf(`%[1]s.lua has changed. If that is meant, put

	%[1]q: %[2]q,

into hashes. Mind what a running fleet makes of it: old and new pods share one
queue while they are rolled out, so both scripts must understand the same keys
and values. To a server the new script is unknown: where that tells scripts who
it is, this costs nothing, elsewhere one hold.`, s.Name, got)
		}
	}
}

// What is not there on every server, behind every proxy or in miniredis.
var forbidden = []string{"#!", "cjson", "cmsgpack", "struct.", "bit.", "unpack", "'PUBLISH'", "'SCRIPT'", "redis.replicate_commands", "goto ", "redis.sha1hex"}

func TestScriptsKeepToWhatEveryServerHas(t *testing.T) {
	for _, s := range scripts {
		for _, word := range forbidden {
			assert.NotContains(t, s.Source, word, "%s.lua", s.Name)
		}
		if s != lua.Status && s != lua.Ready { // they tell what claims are refused for
			assert.NotRegexp(t, `redis\.pcall\((?:[^']|'[^I])`, s.Source, "%s.lua: an error shall end a script, but for that of a server that does not tell who it is", s.Name)
		}
		assert.LessOrEqual(t, strings.Count(s.Source, "'TIME'"), 1, "%s.lua reads the time more than once", s.Name)
		assert.NotContains(t, s.Source, "\t", "%s.lua: indent with two spaces", s.Name)
	}
}

// The most lines of code that a file may have, without comments and empty lines.
const (
	mostLines = 100
	widest    = 140
)

func TestScriptsAreShort(t *testing.T) {
	require.NoError(t, fs.WalkDir(lua.Files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := lua.Files.ReadFile(name)
		code := 0
		for line := range strings.Lines(string(text)) {
			assert.LessOrEqual(t, len(line)-1, widest, "%s: %s", name, line)
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "--") {
				code++
			}
		}
		most := mostLines
		if name == "claim.lua" || name == "sync.lua" {
			most = 89
		}
		assert.Less(t, code, most+1, "%s is too long to be read in one go", name)
		assert.NotRegexp(t, `(KEYS|ARGV)\[\d`, string(text), "%s counts by hand: the script's head gives a name to each", name)
		return err
	}))
}

func TestHeadsNameWhatIsUsed(t *testing.T) {
	for _, s := range scripts {
		require.Empty(t, s.Problems(), "%s.lua", s.Name)
		_, body, _ := strings.Cut(s.Source, "\n\n")
		used := func(name string) int { return len(regexp.MustCompile(`\b`+name+`\b`).FindAllString(body, -1)) }
		for _, key := range s.Keys {
			assert.Greater(t, used(key+"_key"), 1, "%s.lua does not use the key %s", s.Name, key)
		}
		for _, a := range s.Args {
			assert.Greater(t, used(a.Name), 1, "%s.lua does not use the argument %s", s.Name, a.Name)
		}
		assert.Equal(t, len(s.EachKey) > 0, used("each_key") > 1, "%s.lua: keys for each of several things", s.Name)
		assert.Equal(t, len(s.EachArg) > 0, used("each_arg") > 1, "%s.lua: arguments for each of several things", s.Name)
	}
}

func TestHeadsThatCannotBeReadAreExplained(t *testing.T) {
	for head, problem := range map[string]string{
		"-- x: y.": `the head has no line "-- KEYS"`,
		"-- KEYS  a\n-- ARGV\n-- KEYS  a\n-- Reply  code":          "the head has KEYS twice",
		"-- KEYS  a, b\n-- ARGV\n-- Reply  code":                   `the head's KEYS is no list of names: "  a, b"`,
		"-- KEYS  a\n-- ARGV\n--   each b\n--   c\n-- Reply  code": "c stands behind what is there for each",
		"-- KEYS  a\n-- ARGV\n--   b (ms) c\n-- Reply  code":       `this line of the head gives no argument a name: "--   b (ms) c"`,
	} {
		assert.Contains(t, lua.Parse(head).Problems(), problem, head)
	}
	good := lua.Parse("-- x\n-- KEYS  a b; each c d   e f\n-- ARGV\n--   g\n--   h (ms?)   i\n--              j\n--   each k   l\n-- Reply  m; each n\n--   o")
	require.Empty(t, good.Problems())
	require.Equal(t, lua.Script{
		Name: "test", Keys: []string{"a", "b"}, EachKey: []string{"c", "d"}, Args: []lua.Arg{{Name: "g"}, {Name: "h", Kind: "ms?"}},
		EachArg: []string{"k"}, Reply: []string{"m"}, EachReply: []string{"n"},
	}, *good)
}

func TestOrderRefusesOtherNamesThanTheHeads(t *testing.T) {
	require.Equal(t, []any{int64(2), "why", "more"}, lua.Postpone.Order(lua.Values{"wait": 1_000_001 * time.Nanosecond, "trouble": "why"}, "more"))
	require.PanicsWithValue(t, "lua: postpone is called without trouble", func() { lua.Postpone.Order(lua.Values{"wait": 1}) })
	require.PanicsWithValue(t, "lua: postpone has no argument why", func() { lua.Postpone.Order(lua.Values{"wait": 1, "trouble": 1, "why": 1}) })
}

var (
	called  = regexp.MustCompile(`[^.\w]([a-z_]\w*)\(`)
	builtin = regexp.MustCompile(`^(tonumber|tostring|type|ipairs|function|and|or|not|if|elseif|while|return|in)$`)
	remark  = regexp.MustCompile(`(?m)(^| )--.*$`)
)

// Lua takes a local that stands further down for a global, and says so only when
// it gets there.
func TestFunctionsStandAboveTheirUse(t *testing.T) {
	for _, s := range scripts {
		code := remark.ReplaceAllString(s.Source, "")
		for _, m := range called.FindAllStringSubmatchIndex(code, -1) {
			if name := code[m[2]:m[3]]; !builtin.MatchString(name) {
				assert.Contains(t, code[:m[3]+1], "local function "+name+"(", "%s.lua, or what it includes", s.Name)
			}
		}
	}
}

var (
	call  = regexp.MustCompile(`redis\.p?call\(\s*('?\w+'?)(?:,\s*([^,)]+))?`)
	key   = regexp.MustCompile(`^\w+_key$`)
	local = regexp.MustCompile(`(?m)local ([\w, ]*_key[\w, ]*) = (.*)$`)
	param = regexp.MustCompile(`(?m)local function \w+\((.*)\)`)
)

// Redis Cluster, and ACLs, go by the keys that a call declares.
func TestEveryKeyIsDeclaredAndHasAName(t *testing.T) {
	for _, s := range scripts {
		text := s.Source
		calls := call.FindAllStringSubmatch(text, -1)
		assert.Len(t, calls, strings.Count(text, "redis.call(")+strings.Count(text, "redis.pcall("), "%s.lua: a call that this test cannot read", s.Name)
		for _, c := range calls {
			if c[1] != "'TIME'" && c[1] != "'INFO'" {
				assert.Regexp(t, key, c[2], "%s.lua calls %s with a key that has no name", s.Name, c[1])
			}
		}
		var declared []string
		for _, l := range local.FindAllStringSubmatch(text, -1) {
			values := strings.Split(l[2], ", ")
			for i, name := range strings.Split(l[1], ", ") {
				if !strings.HasSuffix(name, "_key") || name == "each_key" {
					continue
				}
				declared = append(declared, name)
				if assert.Less(t, i, len(values), "%s.lua: %s has no value", s.Name, name) {
					assert.Regexp(t, `^KEYS\[[^\]]+\]$`, values[i], "%s.lua: %s is no key that is declared", s.Name, name)
				}
			}
		}
		for _, p := range param.FindAllStringSubmatch(text, -1) {
			declared = append(declared, strings.Split(p[1], ", ")...)
		}
		for _, name := range regexp.MustCompile(`\b\w+_key\b`).FindAllString(text, -1) {
			if name != "each_key" && !slices.Contains(declared, name) {
				t.Errorf("%s.lua, or what it includes, uses %s, which its head does not name", s.Name, name)
				declared = append(declared, name)
			}
		}
		assert.NotRegexp(t, `(?m)(^|;| then| do) *\w+_key = `, text, "%s.lua: a key's name is given once", s.Name)
	}
}
