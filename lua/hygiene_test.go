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
	"beat": lua.Beat, "sync": lua.Sync, "status": lua.Status,
}

// The scripts by their hashes, so that none changes by accident.
var hashes = map[string]string{
	"claim":      "0e80fa4068de957a31bef6bd3e99fc93550e66a1",
	"identified": "3ec17257969b32721ae21a398996fe2ea20ceb18",
	"renew":      "4fa4f0c482b697bb525aec07ddd5c52fa5f0ee18",
	"abandon":    "ddb7a04d403ea2036b826a5818d27769259a8089",
	"beat":       "11b3cfdde8f773ebf1aa96469deff52973947c58",
	"sync":       "48974255651a7f727bc49dfbe081c9efff6133e3",
	"status":     "ebe66f36b3e46e942a90c466c4ac9390a6793ab5",
}

func TestNoScriptChangesByAccident(t *testing.T) {
	for name, text := range scripts {
		sum := sha1.Sum([]byte(text))
		if got := hex.EncodeToString(sum[:]); got != hashes[name] {
			t.Errorf(`%[1]s.lua has changed. If that is meant, put

	%[1]q: %[2]q,

into hashes. Mind what a running fleet makes of it: old and new pods share one
queue while they are rolled out, so both scripts must understand the same keys
and values. To a server the new script is unknown; the first claim that meets
NOSCRIPT takes it for a server that may have lost the last grants, and closes
every bucket for a permit's lease, 10 s.`, name, got)
		}
	}
}

// What is not there on every server, behind every proxy or in miniredis; and
// redis.pcall, because an error shall end a script.
var forbidden = []string{"#!", "cjson", "cmsgpack", "struct.", "bit.", "unpack", "'PUBLISH'", "'SCRIPT'", "redis.pcall", "redis.replicate_commands", "goto ", "redis.sha1hex"}

func TestScriptsKeepToWhatEveryServerHas(t *testing.T) {
	for name, text := range scripts {
		for _, word := range forbidden {
			assert.NotContains(t, text, word, "%s.lua", name)
		}
		assert.LessOrEqual(t, strings.Count(text, "'TIME'"), 1, "%s.lua reads the time more than once", name)
		assert.NotContains(t, text, "\t", "%s.lua: indent with two spaces", name)
	}
}

var (
	call     = regexp.MustCompile(`redis\.call\(\s*('?\w+'?)(?:,\s*([^,)]+))?`)
	key      = regexp.MustCompile(`^KEYS\[[^\]]+\]$`)
	numbered = regexp.MustCompile(`KEYS\[(\d+)\]`)
	declared = regexp.MustCompile(`(\d+) [a-z]+`)
)

func TestEveryKeyIsDeclaredAndWrittenOut(t *testing.T) {
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
				assert.Regexp(t, key, c[2], "%s.lua calls %s with a key that it does not write as KEYS[n]", name, c[1])
			}
		}
	}
}
