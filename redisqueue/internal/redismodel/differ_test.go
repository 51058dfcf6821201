package redismodel_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/redismodel"
	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/wire"
)

// The same random calls of all scripts, on the model and on real servers: the same
// replies, and the same in every key. Scripts read the time from a key, so that both
// have the same; a real server's TTLs run down by themselves meanwhile, and are put
// right after each call: what comes of a TTL may differ by as much as a call takes.
func TestModel_DoesWhatServersDo(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b redistest.Binary) {
		t.Parallel()
		d := newDiffer(t, b.Start(t).Client(t))
		for range calls {
			d.pass(d.rand.IntN(4))
			d.byHand()
			d.call(d.request())
		}
		t.Logf("%d calls, %d not compared; %d texts not the same to the millisecond; replies: %v", calls, d.stalled, d.near, d.codes)
		for _, code := range []string{
			"granted", "wait", "paused", "exhausted", "backoff", "resync", "gone", "identified", "late", "renewed", "left", "ok", "seeded", "changed",
			"stale",
		} {
			require.Contains(t, d.codes, code, "no call was answered so")
		}
	})
}

const (
	calls = 1200
	stall = 40 * time.Millisecond // a call that takes longer is not compared
	least = 200                   // ms: no shorter time in a reply comes of a TTL
	clock = "identify:{app}:clock"
)

type differ struct {
	t       *testing.T
	rand    *rand.Rand
	real    *redis.Client
	model   *redismodel.Server
	now     time.Time
	codes   map[string]int
	near    int // texts that were not the same to the millisecond
	stalled int // calls that were not compared
	view    wire.View
	begun   time.Time // the real clock, when both last held the same
}

var keys = wire.KeysOf("app")

func newDiffer(t *testing.T, client *redis.Client) *differ {
	d := &differ{
		t: t, rand: rand.New(rand.NewPCG(1, 2)), real: client, model: redismodel.New(), //nolint:gosec // It decides a test.
		now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), codes: make(map[string]int),
	}
	info := client.Info(t.Context(), "server").Val() + client.Info(t.Context(), "replication").Val()
	field := func(name string) string {
		_, value, _ := strings.Cut(info, name+":")
		value, _, _ = strings.Cut(value, "\r")
		return value
	}
	d.model.RunID, d.model.Replid, d.model.Now = field("run_id"), field("master_replid"), d.now
	return d
}

// pass lets time pass on both.
func (d *differ) pass(kind int) {
	longest := []time.Duration{time.Millisecond, 100 * time.Millisecond, 6 * time.Second, 20 * time.Second}[kind]
	if d.rand.IntN(400) == 0 {
		longest = 30 * time.Hour
	}
	by := time.Duration(d.rand.Int64N(int64(longest))).Truncate(time.Microsecond)
	d.now = d.now.Add(by)
	d.model.Now = d.now
	for d.ending() { // a real server's would end within the call
		d.now = d.now.Add(stall)
		d.model.Now = d.now
	}
	d.copyToReal()
}

// ending says that a TTL ends soon.
func (d *differ) ending() bool {
	for _, h := range d.model.Dump() {
		if h.TTL >= 0 && h.TTL < 2*stall.Milliseconds() {
			return true
		}
	}
	return false
}

// copyToReal makes the real server hold what the model holds, so that both begin each
// call alike.
func (d *differ) copyToReal() {
	pipe, us := d.real.Pipeline(), d.now.UnixMicro()
	d.begun = time.Now()
	pipe.FlushAll(d.t.Context())
	d.model.Delete(clock)
	for key, h := range d.model.Dump() {
		args := []any{map[string]string{"string": "SET", "hash": "HSET", "zset": "ZADD", "list": "RPUSH"}[h.Kind], key}
		if h.Kind == "zset" {
			for i := 0; i < len(h.Words); i += 2 {
				args = append(args, h.Words[i+1], h.Words[i])
			}
		} else {
			for _, word := range h.Words {
				args = append(args, word)
			}
		}
		pipe.Do(d.t.Context(), args...)
		if h.TTL >= 0 {
			pipe.PExpire(d.t.Context(), key, time.Duration(h.TTL)*time.Millisecond)
		}
	}
	d.model.SetHash(clock, "s", us/1e6, "us", us%1e6)
	pipe.HSet(d.t.Context(), clock, "s", us/1e6, "us", us%1e6)
	_, err := pipe.Exec(d.t.Context())
	require.NoError(d.t, err)
}

// byHand deletes a key now and then, or pretends that the server is another.
func (d *differ) byHand() {
	if d.rand.IntN(60) > 0 {
		return
	}
	all := make([]string, 0, 32)
	for key := range d.model.Dump() {
		all = append(all, key)
	}
	slices.Sort(all)
	if key := all[d.rand.IntN(len(all))]; key != clock {
		d.model.Delete(key)
	}
	if d.rand.IntN(4) == 0 {
		d.model.SetHash(keys.Limits(), "run_id", "elsewhere")
	}
	d.copyToReal()
}

// call makes a call on both, and compares.
func (d *differ) call(request wire.Request) {
	c := request.Encode(keys)
	source := strings.ReplaceAll(c.Script.Source, "redis.call('TIME')", "redis.call('HMGET', '"+clock+"', 's', 'us')")
	before := fmt.Sprintf("%v\n%#v\n%v", d.now, request, d.model.Dump())
	mine, myErr := d.model.Eval(source, c.Keys, c.Args)
	theirs, err := d.real.Eval(d.t.Context(), source, c.Keys, c.Args...).Result()
	if err != nil || myErr != nil {
		require.True(d.t, err != nil && myErr != nil, "%s\n%v: want %v", before, myErr, err)
		word, _, _ := strings.Cut(myErr.Error(), " ")
		require.Contains(d.t, err.Error(), word, before)
		d.codes[word]++
		return
	}
	defer d.learn(request, mine)
	model, held := d.model.Dump(), d.dumpReal()
	if time.Since(d.begun) > stall {
		d.stalled++
		return
	}
	d.compare(before, flat(mine), flat(theirs))
	if code, _, _ := strings.Cut(flat(mine), "\n"); words.MatchString(code) {
		d.codes[code]++
	}
	for key, m := range model { // what ends in a moment may have ended on one of the two
		if m.TTL >= 0 && float64(m.TTL) <= d.slack() {
			delete(model, key)
			delete(held, key)
		}
	}
	require.Len(d.t, model, len(held), "%s\n%v: want %v", before, model, held)
	for key, h := range held {
		m, is := model[key]
		require.True(d.t, is, "%s\n%s is missing", before, key)
		require.Equal(d.t, h.Kind, m.Kind, "%s\n%s", before, key)
		d.compare(before+"\n"+key, strings.Join(m.Words, "\n"), strings.Join(h.Words, "\n"))
		require.Equal(d.t, h.TTL < 0, m.TTL < 0, "%s\n%s has %v: want %v", before, key, m, h)
		require.InDelta(d.t, h.TTL, m.TTL, d.slack(), "%s\nTTL of %s: %v", before, key, m)
	}
}

func (d *differ) dumpReal() map[string]redismodel.Held {
	ctx := d.t.Context()
	names, err := d.real.Keys(ctx, "*").Result()
	require.NoError(d.t, err)
	pipe := d.real.Pipeline()
	types, ttls := make([]*redis.StatusCmd, len(names)), make([]*redis.Cmd, len(names))
	for i, name := range names {
		types[i], ttls[i] = pipe.Type(ctx, name), pipe.Do(ctx, "PTTL", name)
	}
	_, err = pipe.Exec(ctx)
	require.NoError(d.t, err)
	pipe = d.real.Pipeline()
	values := make([]*redis.Cmd, len(names))
	for i, name := range names {
		values[i] = pipe.Do(ctx, map[string][]any{
			"string": {"GET", name}, "hash": {"HGETALL", name}, "zset": {"ZRANGE", name, 0, -1, "WITHSCORES"}, "list": {"LRANGE", name, 0, -1},
		}[types[i].Val()]...)
	}
	_, err = pipe.Exec(ctx)
	require.NoError(d.t, err)
	all := make(map[string]redismodel.Held)
	for i, name := range names {
		ttl, _ := ttls[i].Int64()
		h := redismodel.Held{Kind: types[i].Val(), TTL: ttl}
		switch v := values[i].Val().(type) {
		case string:
			h.Words = []string{v}
		case []any:
			h.Words = texts(v)
		case map[any]any:
			for field, value := range v {
				h.Words = append(h.Words, fmt.Sprint(field), fmt.Sprint(value))
			}
		}
		all[name] = h
	}
	return all
}

// texts are the words of a reply; with RESP3 pairs are lists of their own.
func texts(list []any) (words []string) {
	for _, v := range list {
		switch v := v.(type) {
		case []any:
			words = append(words, texts(v)...)
		case float64:
			words = append(words, strconv.FormatFloat(v, 'f', -1, 64))
		default:
			words = append(words, fmt.Sprint(v))
		}
	}
	return words
}

func flat(reply any) string {
	list, ok := reply.([]any)
	if !ok {
		return fmt.Sprint(reply)
	}
	return strings.Join(texts(list), "\n")
}

var (
	numbers = regexp.MustCompile(`\d+(\.\d+)?`)
	words   = regexp.MustCompile(`^[a-z]+$`)
)

// compare compares two texts: a time in one may differ by what a call takes. Fields
// of hashes may come in another order.
func (d *differ) compare(context, mine, theirs string) {
	if mine == theirs {
		return
	}
	a, b := pairs(mine), pairs(theirs)
	for i := range min(len(a), len(b)) {
		if a[i] == b[i] {
			continue
		}
		d.near++
		require.Equal(d.t, numbers.ReplaceAllString(b[i], "n"), numbers.ReplaceAllString(a[i], "n"), "%s\n%s: want\n%s", context, mine, theirs)
		ours, want := numbers.FindAllString(a[i], -1), numbers.FindAllString(b[i], -1)
		for j := range ours {
			x, _ := strconv.ParseFloat(ours[j], 64)
			y, _ := strconv.ParseFloat(want[j], 64)
			require.True(d.t, x == y || x > least && math.Abs(x-y) <= d.slack(), "%s\n%s: want\n%s", context, mine, theirs)
		}
	}
	require.Len(d.t, a, len(b), "%s\n%s: want\n%s", context, mine, theirs)
}

// slack is by how many ms the TTLs of the real server may have run down since both held
// the same.
func (d *differ) slack() float64 { return float64(time.Since(d.begun).Milliseconds() + 2) }

func pairs(text string) []string {
	lines := strings.Split(text, "\n")
	slices.Sort(lines)
	return lines
}
