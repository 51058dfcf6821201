package redisqueue_test

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

func FuzzTickets(f *testing.F) {
	for _, seed := range []string{
		"", "@", "#", "@#", "00001@a#1", "1@a#1", "-0001@a#1", "00001@a#01", "00001@a#-1", "00001@a#18446744073709551616",
		"123456@pod-1.example_x#18446744073709551615", "00001@a@b#1", "00001@a#b#1", "00001@a b#1", "00001@#1", "00001@a#1\n", "99999999999999999999@a#1",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		shard, pod, n, ok := redisqueue.ParseTicket(text)
		if !ok {
			return
		}
		if got := redisqueue.FormatTicket(shard, pod, n); got != text || shard < 0 {
			t.Fatalf("%q is read as shard %d, pod %q, number %d, which is written %q", text, shard, pod, n, got)
		}
	})
}

func TestTicketsAreReadAsTheyAreWritten(t *testing.T) {
	for _, c := range []struct {
		ticket string
		shard  int
		pod    string
		n      uint64
	}{
		{"00000@a#1", 0, "a", 1}, {"00042@pod-7.eu_west#12", 42, "pod-7.eu_west", 12}, {"1234567@x#3", 1234567, "x", 3},
	} {
		require.Equal(t, c.ticket, redisqueue.FormatTicket(c.shard, c.pod, c.n))
		shard, pod, n, ok := redisqueue.ParseTicket(c.ticket)
		require.True(t, ok)
		require.Equal(t, []any{c.shard, c.pod, c.n}, []any{shard, pod, n})
	}
}

// A server that is not Redis, or something between that rewrites replies, must
// neither stop a pod nor exhaust its memory.
func FuzzReplies(f *testing.F) {
	for _, seed := range []string{
		`null`, `"OK"`, `1`, `[]`, `[[]]`, `["granted"]`, `["granted","1","2.250",3,"4","5","",0,"6","7"]`, `["wait","x"]`,
		`["identified","1","2"]`, `["left",1]`, `["ok","1","","2","0",0,"","1.250",2,"",""]`, `["ok","1","9","2",0,"5","x",2,[]]`, `["ok","1","9","2","0",0,"1","NaN",2,"1e300","0"]`,
		`["seeded","1","e","2","3","4","5","6","7"]`, `["1",["epoch","e"],"5",-1,["1","2"],["a","1"],["0","7"],["",-2,0],["",-2,1,"00001@a#1","5"]]`,
		`["1",["seq","x"],"5",-1,[],["a","b","c"],["0"]]`, `["1",[],"",-2,["1"],["a"],[],["a"],["a"]]`, `[9223372036854775808, -1e300]`,
		`["1",["max_concurrency","99999999"],"",-2,[],[],[],[]]`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var answer any
		decoder := json.NewDecoder(strings.NewReader(text))
		decoder.UseNumber()
		if decoder.Decode(&answer) != nil {
			return
		}
		start := time.Now()
		_ = redisqueue.Decode(asRedis(answer))
		if took := time.Since(start); took > time.Second {
			t.Fatalf("it took %v", took)
		}
	})
}

// asRedis makes JSON what go-redis would return.
func asRedis(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64()
		return f
	case []any:
		for i := range v {
			v[i] = asRedis(v[i])
		}
	}
	return v
}

func TestRepliesThatNoScriptGivesAreRefused(t *testing.T) {
	for name, answer := range map[string]any{
		"nothing": nil, "a status": "OK", "a number": int64(1), "an empty list": []any{}, "a map": map[any]any{"a": 1},
		"lists": []any{[]any{}, []any{}}, "numbers for texts": []any{1.5}, "too short": []any{"wait", "1"},
		"texts for numbers": []any{"ok", "x", "x", "x", "x", "x", "x", "x", "x", "x", "x"},
	} {
		for i, err := range redisqueue.Decode(answer) {
			if name == "too short" && i == 3 {
				continue // abandon's is as long
			}
			require.ErrorIs(t, err, redisqueue.ErrUnexpectedReply, "%s, script %d", name, i)
			require.True(t, redisqueue.Returned(err))
		}
	}
}

func FuzzErrors(f *testing.F) {
	for _, seed := range []string{"", "BADVALUE", "ERR BADVALUE x", "NOPERM", "MOVED 1 a:1", "ERR Error running script (call to f_x): @user_script:1: WRONGTYPE x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		err := errors.New(text)
		_ = redisqueue.Returned(err)
		if explained := redisqueue.Explain(err); !strings.HasPrefix(explained.Error(), "redisqueue: ") {
			t.Fatalf("%q is explained as %q", text, explained)
		}
	})
}

func TestWhatIsNoAnswerOfRedisIsWaitedFor(t *testing.T) {
	for _, err := range []error{io.EOF, io.ErrUnexpectedEOF, errors.New("dial tcp: connection refused"), errors.New("redis: connection pool timeout")} {
		require.False(t, redisqueue.Returned(err), err)
	}
}
