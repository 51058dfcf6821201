package lua_test

// A Lua error does not roll back: a call that cannot write all of it must write nothing.

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
	"github.com/gatewayqueue/gatewayqueue/lua"
)

// whole is a call that writes all that its script ever writes together.
type wholeCall struct {
	name string
	script
	seed state
	call args
}

func wholeCalls() []wholeCall {
	record := script{
		Script: lua.Record, args: "keep=90000000 replay=600000", bare: true,
		state: state{"limits": "total=1000 reset_at=@60000", "remaining": "985"},
	}
	sight := script{Script: lua.Sight, args: "refused=1 identified=1 many=1 lasts=60000 keep=60000 list=0", state: state{}, bare: true}
	remember := script{Script: lua.Remember, args: "value=x ttl=1000 replace=1", state: state{}, bare: true}
	paused := state{"limits": "epoch=e seq=5 paused_until=" + endless + " paused_at=@0 paused_by=alice paused_why=maintenance"}
	line := state{"queue:0": "00001@a#1=@-10 00003@a#2=@-9", "pods": "a=@3000"}
	return []wholeCall{
		{"a grant", claim, line, args{"others": "@-9 00003@a#2", "backoff": "1", "until_wanted": "0"}},
		{"a grant of a period's first", claim, state{"limits": "epoch=e seq=5 max_concurrency=1 total=10 reset_at=0"}, nil},
		{"a grant after a period", claim, state{"limits": "epoch=e seq=5 max_concurrency=1 total=10 reset_at=@-5", "spent": "1=1", "backoffs": "1=@-1"}, nil},
		{"a grant under a backoff", claim, with(line, state{"spent": "1=3 ttl=60000", "backoffs": "1=@-1"}), args{"backoff": "2"}},
		{"a place", claim, with(line, state{"slot:0": "00005@b#1 ttl=3000", "opens": "0=@3000"}), args{"others": "@-9 00003@a#2"}},
		{"identified", identified, nil, nil},
		{"the first identified", identified, state{"limits": "epoch=e seq=6 max_concurrency=1 total=10 reset_at=0"}, nil},
		{"identified after a period", identified, state{"limits": "epoch=e seq=6 max_concurrency=1 total=10 reset_at=@-5"}, nil},
		{"an announcement", announce, nil, nil},
		{"a renewal", renew, nil, nil},
		{"a renewal in another period", renew, state{"out": "", "paid:00001@a#1": "granted d 0 ttl=60000"}, nil},
		{"an abandonment", abandon, with(line, state{"backoffs": "1=@50"}), args{"others": "00001@a#1", "leaving_pod": "a"}},
		{"an abandonment that goes on", abandon, line, args{"others": "00001@a#1", "goes_on": "1"}},
		{"a beat", beat, line, args{"buckets": "2", "refresh_every": "1000", "others": "0 00000@a#1 1 '' 00000@a#1 1 00004@a#5 1 '' 00004@a#5"}},
		{"a seed", sync, state{"limits": "", "remaining": ""}, nil},
		{"new limits", sync, nil, knows(args{"update": "1", "new_buckets": "4", "new_total": "20", "buckets": "2"})},
		{"new limits after a period", sync, state{"limits": "epoch=e seq=5 max_concurrency=2 total=10 reset_at=@-5 closed_until=0"}, knows(args{"update": "1", "new_buckets": "2", "buckets": "2", "known_reset": "0"})},
		{"a pause", pause, nil, nil},
		{"the first pause", pause, state{"limits": ""}, nil},
		{"a resume", pause, paused, args{"stop": "0"}},
		{"a postponement", postpone, nil, nil},
		{"a record", record, nil, args{"others": "1 60000 granted=1"}},
		{"a sight", sight, nil, args{"others": "7 {}"}},
		{"what servers tell each other", remember, nil, nil},
	}
}

// start seeds a call's state, and returns a function that sends it.
func (c wholeCall) start(t *testing.T, client *redis.Client, by *redis.Client, over state) (send func() error, keys []string) {
	t.Helper()
	require.NoError(t, client.FlushAll(t.Context()).Err())
	w := world{t: t, client: client, start: serverTime(t, client)}
	w.introduce()
	before := with(with(c.script.state, c.seed), over)
	if before["limits"] != "" && before["limits"][0] != '!' && !c.bare {
		before["limits"] = w.known(before["limits"], true)
	}
	for _, key := range slices.Sorted(maps.Keys(before)) {
		w.seed(key, before[key])
	}
	call, values := c.values(t, w, c.call)
	var others []any
	for _, other := range strings.Fields(c.call["others"]) {
		others = append(others, w.absolute(strings.TrimPrefix(other, "''")))
	}
	keys = c.keys(call)
	full := make([]string, len(keys))
	for i, key := range keys {
		full[i] = prefix + key
	}
	return func() error { return by.Eval(t.Context(), c.Source, full, c.Order(values, others...)...).Err() }, keys
}

// dump is all that a server holds, but for TTLs.
func dump(t *testing.T, client *redis.Client) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for _, key := range client.Keys(t.Context(), "*").Val() {
		text, err := client.Dump(context.Background(), key).Result()
		require.NoError(t, err)
		all[key] = text
	}
	return all
}

// A key of a wrong type, whichever it is. Beats are left out: they write leases and
// places only, as the next beat does.
func TestNothingIsWritten_WhereAKeyIsOfAWrongType(t *testing.T) {
	t.Parallel()
	client := redistest.Start(t).Client(t)
	for _, c := range wholeCalls() {
		if c.Script == lua.Beat {
			continue
		}
		send, keys := c.start(t, client, client, nil)
		require.NoError(t, send(), c.name)
		for _, key := range keys {
			wrong := "!list"
			if kindOf(key) == "list" {
				wrong = "!string"
			}
			send, _ := c.start(t, client, client, state{key: wrong})
			before := dump(t, client)
			if err := send(); err != nil {
				assert.Equal(t, before, dump(t, client), "%s, and %s is of a wrong type: %v", c.name, key, err)
			}
		}
	}
}

// A right that is missing, whichever it is. What pods call is left out: without one of
// the least rights (docs/operations.md) no pod grants at all, while an operator may be a
// user with rights of their own.
func TestNothingIsWritten_WhereARightIsMissing(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := server.Client(t)
	user := server.Client(t, func(o *redis.Options) { o.Username, o.Password = "bob", "secret" })
	for _, c := range wholeCalls() {
		if c.Script != lua.Pause {
			continue
		}
		commands := make(map[string]bool)
		for _, found := range regexp.MustCompile(`redis\.p?call\('([A-Z]+)'`).FindAllStringSubmatch(c.Source, -1) {
			commands[strings.ToLower(found[1])] = true
		}
		for command := range commands {
			require.NoError(t, client.Do(t.Context(), "ACL", "SETUSER", "bob", "reset", "on", ">secret", "~*", "+@all", "-"+command).Err())
			send, _ := c.start(t, client, user, nil)
			before := dump(t, client)
			if err := send(); err != nil {
				assert.Equal(t, before, dump(t, client), "%s, without the right to %s: %v", c.name, command, err)
			}
		}
		for _, key := range c.Keys {
			require.NoError(t, client.Do(t.Context(), "ACL", "SETUSER", "bob", "reset", "on", ">secret", "~"+prefix+key, "+@all").Err())
			send, _ := c.start(t, client, user, nil)
			before := dump(t, client)
			require.Error(t, send(), "%s, with no right to keys but %s", c.name, key)
			assert.Equal(t, before, dump(t, client), "%s, with no right to keys but %s", c.name, key)
		}
	}
}
