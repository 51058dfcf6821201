// The scripts' contracts, as tables: what Redis holds, a call, its reply, and
// what Redis holds then. Every table runs on miniredis, on every version of a
// real server, and on a Cluster.

package lua_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
	"github.com/gatewayqueue/gatewayqueue/lua"
)

// state is what Redis holds, by key without its prefix, in words:
//
//	"slot:0":  "00001@a#1 permit ttl=10000"   a string and its TTL in ms
//	"limits":  "epoch=e seq=5 reset_at=@60000" a hash; @ is a time, in ms from now
//	"queue:0": "00001@a#1=@-100"               a sorted set
//	"pods":    "!string"                       a key of a wrong type
//	"spent":   ""                              no such key
type state map[string]string

// args are a call's arguments by name, over those of the script's usual call.
// "others" are all that follow, "buckets" for how many a call gives slot and queue.
type args map[string]string

type contract struct {
	name  string
	on    string // blind or told: only where scripts are not, or are, told who the server is
	seed  state  // over the script's usual state
	call  args
	times int    // how often the very same call is sent; once, if 0
	reply string // of the last: its code, and the fields that matter; ~ is a time that runs out
	after state  // what then differs from the state before

	replyOnly bool // what it leaves is another contract's
}

// script is one of the scripts and its usual call. Its head has the order and the
// names of what it takes and answers.
type script struct {
	*lua.Script
	args  string // name=value of each; @ is a time, in ms from now
	state state
	bare  bool // limits hold only what a case says

	// each are, if it has keys for each of several things, the buckets or tickets
	// that a call is about.
	each func(args) []string
}

// numbered are the first buckets, as many as an argument says.
func numbered(arg string) func(args) []string {
	return func(call args) (buckets []string) {
		n, _ := strconv.Atoi(call[arg])
		for i := range n {
			buckets = append(buckets, strconv.Itoa(i))
		}
		return buckets
	}
}

// keys are those of a call, without their prefix.
func (s script) keys(call args) []string {
	named := func(names []string, bucket, ticket string) (keys []string) {
		for _, name := range names {
			switch name {
			case "slot", "queue":
				name += ":" + bucket
			case "paid":
				name += ":" + ticket
			}
			keys = append(keys, name)
		}
		return keys
	}
	keys := named(s.Keys, call["bucket"], call["ticket"])
	if s.each != nil {
		for _, one := range s.each(call) {
			keys = append(keys, named(s.EachKey, one, one)...)
		}
	}
	return keys
}

// values are the arguments of a call by their names: those of the usual one, and
// what a case says.
func (s script) values(t *testing.T, w world, over args) (args, lua.Values) {
	all := make(args)
	for _, a := range strings.Fields(s.args) {
		name, value, _ := strings.Cut(a, "=")
		all[name] = value
	}
	values := make(lua.Values)
	for name := range all {
		known := slices.ContainsFunc(s.Args, func(a lua.Arg) bool { return a.Name == name })
		require.True(t, known || name == "buckets", "%s has no argument %s", s.Name, name)
	}
	maps.Copy(all, over) // what is no argument is for keys
	for _, a := range s.Args {
		require.Contains(t, all, a.Name, "the usual call of %s", s.Name)
		values[a.Name] = w.absolute(all[a.Name])
	}
	return all, values
}

const prefix = "identify:{app}:"

// run holds the script to its contracts on every server.
func (s script) run(t *testing.T, contracts []contract) {
	t.Parallel()
	on := func(t *testing.T, client redis.UniversalClient, stands bool) {
		for _, c := range contracts {
			t.Run(c.name, func(t *testing.T) { s.check(t, client, stands, c) })
		}
	}
	t.Run("miniredis", func(t *testing.T) {
		server := miniredis.RunT(t)
		server.ClockTTL(true)
		client := redis.NewClient(&redis.Options{Addr: server.Addr()})
		t.Cleanup(func() { require.NoError(t, client.Close()) })
		on(t, client, false)
	})
	redistest.Each(t, func(t *testing.T, b redistest.Binary) { on(t, b.Start(t).Client(t), true) })
	t.Run("cluster", func(t *testing.T) { on(t, redistest.StartCluster(t, 1, 0).Client(t), true) })
}

func (s script) check(t *testing.T, client redis.UniversalClient, stands bool, c contract) {
	ctx := t.Context()
	require.NoError(t, client.FlushAll(ctx).Err())
	w := world{t: t, client: client, stands: stands, start: serverTime(t, client)}
	before := maps.Clone(s.state)
	maps.Copy(before, c.seed)
	w.introduce()
	if c.on == "blind" && !w.blind || c.on == "told" && w.blind {
		t.Skip("this server is another kind")
	}
	settled := strings.Contains(before["limits"], "epoch=")
	if s.bare {
		w.identity, settled = "", false
	}
	before["limits"] = w.known(before["limits"], settled)
	for _, key := range slices.Sorted(maps.Keys(before)) {
		w.seed(key, before[key])
	}

	call, values := s.values(t, w, c.call)
	var others []any
	for _, other := range strings.Fields(c.call["others"]) {
		others = append(others, w.absolute(strings.TrimPrefix(other, "''")))
	}
	var keys []string
	for _, key := range s.keys(call) {
		keys = append(keys, prefix+key)
	}
	var raw any
	var err error
	for range max(1, c.times) {
		raw, err = client.Eval(ctx, s.Source, keys, s.Order(values, others...)...).Result()
	}
	w.elapsed = serverTime(t, client) - w.start
	w.checkReply(append(slices.Clone(s.Reply), s.EachReply...), c.reply, raw, err)

	if c.replyOnly {
		return
	}
	want := maps.Clone(before)
	maps.Copy(want, c.after)
	if after, ok := c.after["limits"]; ok {
		want["limits"] = w.known(after, settled)
	}
	maps.DeleteFunc(want, func(_, text string) bool { return text == "" })
	got := w.keys()
	require.ElementsMatch(t, slices.Collect(maps.Keys(want)), got, "the keys that are left")
	for _, key := range got {
		w.checkKey(key, want[key])
	}
}

// world is one case at work.
type world struct {
	t       *testing.T
	client  redis.UniversalClient
	stands  bool  // the server's clock does while a script runs; miniredis's does not
	start   int64 // ms on the server's clock
	elapsed int64 // since, when the call had been answered

	identity string // of the server, as limits hold it; without values where scripts are not told
	blind    bool   // they are not
}

// introduce learns who the server is.
func (w *world) introduce() {
	master := w.client
	if cluster, ok := w.client.(*redis.ClusterClient); ok {
		node, err := cluster.MasterForKey(w.t.Context(), prefix+"limits")
		require.NoError(w.t, err)
		master = node
	}
	field := func(section, name string) string {
		info, _ := master.Info(w.t.Context(), section).Result()
		_, value, _ := strings.Cut(info, name+":")
		value, _, _ = strings.Cut(value, "\r\n")
		return value
	}
	run, replid := field("server", "run_id"), field("replication", "master_replid")
	w.identity, w.blind = " run_id="+run+" master_replid="+replid, run == ""
}

// known adds to the words of limits who the server is, that no hold stands, and
// what pods have agreed on, unless a case says it itself. A word that begins with blind: or told: is
// for servers that do not, or do, tell scripts who they are.
func (w world) known(limits string, settled bool) string {
	var words []string
	for _, word := range strings.Fields(limits) {
		kind, rest, found := strings.Cut(word, ":")
		switch {
		case found && kind == "blind" && w.blind, found && kind == "told" && !w.blind:
			words = append(words, rest)
		case !found || kind != "blind" && kind != "told":
			words = append(words, word)
		}
	}
	limits = strings.NewReplacer(
		"NOW", strconv.FormatInt(w.start, 10), "LONGAGO", strconv.FormatInt(w.start-300_000, 10),
	).Replace(strings.Join(words, " "))
	if !strings.Contains(limits, "epoch=") {
		return limits
	}
	if !strings.Contains(limits, "run_id=") {
		limits += w.identity
	}
	if !strings.Contains(limits, "closed_until=") && w.identity != "" {
		limits += " closed_until=0"
	}
	limits = strings.Replace(limits, " closed_until=none", "", 1)
	for _, agreed := range []string{"window=5000", "grace=250", "pod_lease=3000"} {
		if name, _ := cut(agreed); settled && !strings.Contains(limits, name+"=") {
			limits += fmt.Sprintf(" %s@%d", agreed, w.start)
		}
	}
	return limits
}

func serverTime(t *testing.T, client redis.UniversalClient) int64 {
	now, err := client.Time(t.Context()).Result()
	require.NoError(t, err)
	return now.UnixMilli()
}

// absolute makes a time of @100.
func (w world) absolute(text string) string {
	if offset, ok := strings.CutPrefix(text, "@"); ok {
		n, err := strconv.ParseInt(offset, 10, 64)
		require.NoError(w.t, err, text)
		return strconv.FormatInt(w.start+n, 10)
	}
	return text
}

// value is a string's words, times made absolute, and its TTL.
func (w world) value(text string) (words []string, ttl time.Duration) {
	for _, word := range strings.Fields(text) {
		if ms, ok := strings.CutPrefix(word, "ttl="); ok {
			n, err := strconv.Atoi(ms)
			require.NoError(w.t, err, text)
			ttl = time.Duration(n) * time.Millisecond
			continue
		}
		words = append(words, word)
	}
	return words, ttl
}

func (w world) seed(key, text string) {
	ctx, full := w.t.Context(), prefix+key
	words, ttl := w.value(text)
	var err error
	switch kind := kindOf(key); {
	case text == "":
	case text == "!string":
		err = w.client.Set(ctx, full, "x", 0).Err()
	case text == "!list":
		err = w.client.RPush(ctx, full, "x").Err()
	case kind == "list":
		for range words {
			err = w.client.LPush(ctx, full, "x").Err()
		}
	case kind == "string":
		for i := range words {
			words[i] = w.absolute(words[i])
		}
		err = w.client.Set(ctx, full, strings.Join(words, " "), ttl).Err()
	default:
		for _, word := range words {
			field, value := cut(word)
			if value = w.absolute(value); kind == "hash" {
				err = w.client.HSet(ctx, full, field, value).Err()
			} else {
				score, _ := strconv.ParseFloat(value, 64)
				err = w.client.ZAdd(ctx, full, redis.Z{Score: score, Member: field}).Err()
			}
			require.NoError(w.t, err)
		}
		if ttl > 0 {
			err = w.client.PExpire(ctx, full, ttl).Err()
		}
	}
	require.NoError(w.t, err, key)
}

func kindOf(key string) string {
	switch name, _, _ := strings.Cut(key, ":"); name {
	case "limits", "spent", "opens", "backoffs":
		return "hash"
	case "queue", "pods", "holds", "out":
		return "zset"
	case "audit":
		return "list"
	}
	return "string"
}

// cut takes field=value apart at the last sign.
func cut(word string) (field, value string) {
	i := strings.LastIndexByte(word, '=')
	return word[:i], word[i+1:]
}

func (w world) keys() []string {
	keys, err := w.client.Keys(w.t.Context(), "*").Result()
	require.NoError(w.t, err)
	for i, key := range keys {
		keys[i] = strings.TrimPrefix(key, prefix)
	}
	slices.Sort(keys)
	return keys
}

func (w world) checkKey(key, want string) {
	ctx, full, kind := context.Background(), prefix+key, kindOf(key)
	if strings.HasPrefix(want, "!") {
		return // it was of a wrong type and is still there
	}
	words, ttl := w.value(want)
	switch kind {
	case "list": // its length is all that is compared
		got, err := w.client.LLen(ctx, full).Result()
		require.NoError(w.t, err, key)
		require.Equal(w.t, want, strconv.FormatInt(got, 10), key)
	case "string":
		got, err := w.client.Get(ctx, full).Result()
		require.NoError(w.t, err, key)
		gotWords := strings.Fields(got)
		require.Len(w.t, gotWords, len(words), "%s is %q: want %q", key, got, want)
		for i, word := range words {
			w.same(key, word, gotWords[i])
		}
	default:
		got := make(map[string]string)
		var err error
		if kind == "hash" {
			got, err = w.client.HGetAll(ctx, full).Result()
		} else {
			var members []redis.Z
			members, err = w.client.ZRangeWithScores(ctx, full, 0, -1).Result()
			for _, z := range members {
				got[z.Member.(string)] = strconv.FormatFloat(z.Score, 'f', -1, 64)
			}
		}
		require.NoError(w.t, err, key)
		for _, field := range []string{"granted", "forgot"} { // of limits: what says so is about them
			if !strings.Contains(want, field+"=") {
				delete(got, field)
			}
		}
		require.Len(w.t, got, len(words), "%s is %v: want %s", key, got, want)
		for _, word := range words {
			field, value := cut(word)
			require.Contains(w.t, got, field, key)
			w.same(key+" "+field, value, got[field])
		}
	}
	before := serverTime(w.t, w.client)
	left, err := w.client.PTTL(ctx, full).Result()
	require.NoError(w.t, err)
	if ttl == 0 {
		require.Negative(w.t, left, "%s has a TTL", key)
		return
	}
	const rounding = 2
	first, last := before+left.Milliseconds()-w.start, serverTime(w.t, w.client)+left.Milliseconds()-w.start
	require.True(w.t, last+rounding >= ttl.Milliseconds() && first-rounding <= ttl.Milliseconds()+w.elapsed,
		"%s ends %d to %d after the start: want %d to %d", key, first, last, ttl.Milliseconds(), ttl.Milliseconds()+w.elapsed)
}

// same compares a value; a time may be later by what the case has taken, and a
// time that runs out shorter. Where the clock runs on within a script, a time may
// be sooner too: now and PTTL, added, may fall short.
func (w world) same(what, want, got string) {
	w.t.Helper()
	const rounding = 2
	if value, heard, found := strings.Cut(want, "@"); found && value != "" && !strings.HasSuffix(what, " first") && kindOf(strings.Fields(what)[0]) == "hash" { // agreed on
		gotValue, gotHeard, _ := strings.Cut(got, "@")
		require.Equal(w.t, value, gotValue, what)
		at, _ := strconv.ParseInt(heard, 10, 64)
		w.same("when it was heard", "@"+strconv.FormatInt(at-w.start, 10), gotHeard)
		return
	}
	if want == "" || want[0] != '@' && want[0] != '~' {
		require.Equal(w.t, want, strings.TrimSuffix(got, ".000"), what)
		return
	}
	whole, _, _ := strings.Cut(got, ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	require.NoError(w.t, err, "%s is %s: want a time", what, got)
	at, err := strconv.ParseInt(want[1:], 10, 64)
	require.NoError(w.t, err, what)
	low, high := at, at+w.elapsed
	if want[0] == '@' {
		n -= w.start
	} else {
		high = at
	}
	if want[0] == '~' || !w.stands {
		low -= w.elapsed
	}
	require.True(w.t, low-rounding <= n && n <= high+2*rounding, "%s is %d: want %d to %d", what, n, low, high)
}

// checkReply compares a reply with words such as
//
//	granted remaining=4 reset=@60000
//
// or with an error. What has no name of its own is in each.
func (w world) checkReply(names []string, want string, raw any, err error) {
	w.t.Helper()
	words := strings.Fields(want)
	if err != nil {
		text := err.Error()
		require.Contains(w.t, text, words[0], "want %q", want)
		if len(words) > 1 {
			require.True(w.t, strings.HasSuffix(text, prefix+strings.Join(words[1:], " ")), "the error is %q: want %q", text, want)
		}
		return
	}
	values, ok := raw.([]any)
	require.True(w.t, ok, "the reply is %v", raw)
	got := make(map[string]string)
	for i, v := range values {
		name := "each"
		if i < len(names) {
			name = names[i]
		} else if got[name] != "" {
			got[name] += " "
		}
		got[name] += fmt.Sprint(v)
	}
	w.same(names[0], words[0], got[names[0]])
	if slices.Contains(names, "now") {
		w.same("now", "@0", got["now"])
	}
	for _, word := range words[1:] {
		name, value, _ := strings.Cut(word, "=")
		require.Contains(w.t, got, name, "the reply is %v", got)
		w.same(name, strings.ReplaceAll(value, ",", " "), got[name])
	}
}
