package lua_test

import (
	"crypto/sha1"
	"encoding/hex"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/lua"
)

var scripts = map[string]string{
	"claim": lua.Claim, "identified": lua.Identified, "renew": lua.Renew, "abandon": lua.Abandon,
	"beat": lua.Beat, "sync": lua.Sync, "status": lua.Status, "ready": lua.Ready, "postpone": lua.Postpone,
	"remember": lua.Remember,
}

// The scripts by their hashes, so that none changes by accident.
var hashes = map[string]string{
	"claim":      "6b194b7464e388eb9cd339a4cafbb7856650cd55",
	"identified": "ec4d92edd7f84ea0f42874ce976178a04b3b591a",
	"renew":      "517e44a9b05171770bd38147f472e75a9856e41f",
	"abandon":    "34c48852a34d1f3843c34a32cd20c9e1e0c45d51",
	"beat":       "e1ae788e621c912b8eb724e7857465e34eaf56a5",
	"sync":       "889eb5d0f3fca60a921bcfdd3aa751a7acdbf8b1",
	"status":     "43c3ed657c768ed917686a4366af27124eb59f92",
	"remember":   "ea3aab976b5f7a506fc2b96298a7b83472e57496",
	"ready":      "8e5aa8e2beb449926bb5fba2f4bfe27685154da4",
	"postpone":   "e7bf86732201a8e3f978f9c7e691541cae937a99",
}

func TestNoScriptChangesByAccident(t *testing.T) {
	for name, text := range scripts {
		sum := sha1.Sum([]byte(text))
		if got := hex.EncodeToString(sum[:]); got != hashes[name] {
			t.Errorf(`%[1]s.lua has changed. If that is meant, put

	%[1]q: %[2]q,

into hashes. Mind what a running fleet makes of it: old and new pods share one
queue while they are rolled out, so both scripts must understand the same keys
and values. To a server the new script is unknown: where that tells scripts who
it is, this costs nothing, elsewhere one hold.`, name, got)
		}
	}
}

// What is not there on every server, behind every proxy or in miniredis.
var forbidden = []string{"#!", "cjson", "cmsgpack", "struct.", "bit.", "unpack", "'PUBLISH'", "'SCRIPT'", "redis.replicate_commands", "goto ", "redis.sha1hex"}

func TestScriptsKeepToWhatEveryServerHas(t *testing.T) {
	for name, text := range scripts {
		for _, word := range forbidden {
			assert.NotContains(t, text, word, "%s.lua", name)
		}
		assert.NotRegexp(t, `redis\.pcall\((?:[^']|'[^I])`, text, "%s.lua: an error shall end a script, but for that of a server that does not tell who it is", name)
		assert.LessOrEqual(t, strings.Count(text, "'TIME'"), 1, "%s.lua reads the time more than once", name)
		assert.NotContains(t, text, "\t", "%s.lua: indent with two spaces", name)
	}
}

var (
	call     = regexp.MustCompile(`redis\.call\(\s*('?\w+'?)(?:,\s*([^,)]+))?`)
	key      = regexp.MustCompile(`^\w+_key$`)
	names    = regexp.MustCompile(`(?m)^ *local ([\w, ]*_key[\w, ]*) = (.*)$`)
	numbered = regexp.MustCompile(`KEYS\[(\d+)\]`)
	declared = regexp.MustCompile(`(\d+) [a-z]+`)
)

func TestEveryKeyIsDeclaredAndHasAName(t *testing.T) {
	for name, text := range scripts {
		header, _, found := strings.Cut(text, "\n\n")
		require.True(t, found, "%s.lua has no header", name)
		for _, word := range []string{"-- KEYS ", "-- ARGV ", "-- Reply "} {
			assert.Contains(t, header, word, "%s.lua", name)
		}
		keys := regexp.MustCompile(`-- KEYS (.*)`).FindStringSubmatch(header)[1]
		most := 0
		for _, d := range declared.FindAllStringSubmatch(strings.ReplaceAll(keys, "...", ""), -1) {
			n, _ := strconv.Atoi(d[1])
			most = max(most, n)
		}
		for _, k := range numbered.FindAllStringSubmatch(text, -1) {
			n, _ := strconv.Atoi(k[1])
			assert.LessOrEqual(t, n, most, "%s.lua uses KEYS[%d], which its header does not declare", name, n)
		}
		calls := call.FindAllStringSubmatch(text, -1)
		assert.Len(t, calls, strings.Count(text, "redis.call("), "%s.lua: a call that this test cannot read", name)
		for _, c := range calls {
			if c[1] != "'TIME'" {
				assert.Regexp(t, key, c[2], "%s.lua calls %s with a key that has no name", name, c[1])
			}
		}
		for _, n := range names.FindAllStringSubmatch(text, -1) {
			values := strings.Split(n[2], ", ")
			for i, local := range strings.Split(n[1], ", ") {
				if strings.HasSuffix(local, "_key") {
					assert.Regexp(t, `^KEYS\[[^\]]+\]$`, values[i], "%s.lua: %s is no key that is declared", name, local)
				}
			}
		}
		assert.NotRegexp(t, `(?m)(^|;| then| do) *\w+_key = `, text, "%s.lua: a key's name is given once", name)
	}
}
