package faults

// Faults of the one server behind the links.

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
)

var serverFaults = map[string]fault{
	"server paused":              {do: pauseServer, servers: "server"},
	"server killed":              {do: restart(nil), servers: "server", needsAOF: true},
	"server killed and emptied":  {do: restart(empty), servers: "server", loses: true, needsSource: true},
	"server killed and set back": {do: setBack, servers: "server", needsNoAOF: true, loses: true, needsSource: true, once: true},
	"forgotten set back":         {do: forgotten(setBackForgotten), servers: "server", needsNoAOF: true, loses: true, needsSource: true, once: true},
	"evicted":                    {do: evict, servers: "server", loses: true, needsSource: true},
	"snapshots fail":             {do: snapshotsFail, servers: "server", needsNoAOF: true},
	"loading":                    {do: load, servers: "server", needsNoAOF: true, loses: true, needsSource: true, once: true},
	"flushed":                    {do: command("FLUSHALL"), servers: "server", loses: true, needsSource: true},
	"scripts flushed":            {do: command("SCRIPT", "FLUSH"), servers: "server"},
	"clients killed":             {do: command("CLIENT", "KILL", "TYPE", "normal"), servers: "server"},
	"clients paused":             {do: pauseClients, servers: "server"},
	"memory full":                {do: configured("maxmemory", "1", "0"), servers: "server"},
	"no replicas":                {do: configured("min-replicas-to-write", "1", "0"), servers: "server"},
	"read only":                  {do: readOnly, servers: "server"},
	"master down":                {do: masterDown, servers: "server"},
	"busy":                       {do: busyScript, servers: "server"},
	"delete slot":                {do: deleteKeys("slot:*"), servers: "server"},
	"delete opens":               {do: deleteKeys("opens"), servers: "server"},
	"delete queue":               {do: deleteKeys("queue:*"), servers: "server"},
	"delete pods":                {do: deleteKeys("pods"), servers: "server"},
	"delete spent":               {do: deleteKeys("spent"), servers: "server", uncounted: true},
	"delete paid":                {do: deleteKeys("paid:*"), servers: "server", loses: true},
	"delete limits":              {do: deleteKeys("limits"), servers: "server", loses: true, needsSource: true},
	"delete remaining":           {do: deleteKeys("remaining"), servers: "server", loses: true, needsSource: true},
}

// onServer does something while no other fault acts on the server.
func (r *run) onServer(do func(context.Context)) {
	r.busy.Lock()
	defer r.busy.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	do(ctx)
}

// tell sends an order to the server, and again if it fails: other faults may
// have broken the connection.
func (r *run) tell(ctx context.Context, words ...any) any {
	for {
		reply, err := r.admin.Do(ctx, words...).Result()
		if err == nil || ctx.Err() != nil || err == redis.Nil { //nolint:errorlint // as go-redis returns it
			return reply
		}
		r.note("%v: %v", words, err)
		time.Sleep(20 * time.Millisecond)
	}
}

func pauseServer(r *run, _ *rand.Rand, length time.Duration) {
	r.onServer(func(context.Context) {
		r.server.Pause()
		time.Sleep(length + 100*time.Millisecond)
		r.server.Resume()
	})
}

func restart(between func(*run)) func(*run, *rand.Rand, time.Duration) {
	return func(r *run, _ *rand.Rand, length time.Duration) {
		r.onServer(func(context.Context) {
			r.server.Kill()
			if between != nil {
				between(r)
			}
			time.Sleep(length / 2)
			r.server.Restart()
		})
	}
}

func empty(r *run) {
	for _, name := range []string{"appendonlydir", "appendonly.aof", "dump.rdb"} {
		if err := os.RemoveAll(filepath.Join(r.server.Dir, name)); err != nil {
			r.t.Error(err)
		}
	}
}

// setBack lets the server come back with data that misses its last grants, as
// one with snapshots does.
func setBack(r *run, random *rand.Rand, length time.Duration) {
	r.onServer(func(ctx context.Context) {
		r.tell(ctx, "SAVE")
		time.Sleep(time.Duration(random.Int64N(int64(2 * r.plan.Window))))
		r.server.Kill()
		time.Sleep(length / 3)
		r.server.Restart()
		empty(r)
	})
}

// setBackForgotten is setBack, of which no pod that lives knows.
func setBackForgotten(r *run, _ *rand.Rand, _ time.Duration, die func()) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	r.tell(ctx, "SAVE")
	r.awaitGrant(r.fleet.berths[0])
	r.server.Kill()
	die()
	r.server.Restart()
	empty(r)
	r.visitAt(r.server.Addr)
}

// evict lets the server throw away what it has, as a cache does whose memory is full.
func evict(r *run, _ *rand.Rand, length time.Duration) {
	r.onServer(func(ctx context.Context) {
		r.tell(ctx, "CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
		r.tell(ctx, "CONFIG", "SET", "maxmemory", "100kb") // less than an empty server needs: all goes, and nothing is written
		time.Sleep(length / 3)
		r.tell(ctx, "CONFIG", "SET", "maxmemory", "0")
		r.tell(ctx, "CONFIG", "SET", "maxmemory-policy", "noeviction")
	})
	time.Sleep(length / 3)
}

// snapshotsFail lets the server answer MISCONF to all that writes.
func snapshotsFail(r *run, _ *rand.Rand, length time.Duration) {
	r.onServer(func(ctx context.Context) {
		defer r.inTheWay(r.server)()
		r.tell(ctx, "CONFIG", "SET", "save", "3600 1000000")
		r.tell(ctx, "BGSAVE")
		time.Sleep(length)
		r.tell(ctx, "CONFIG", "SET", "save", "")
	})
}

// inTheWay puts a directory where the server would write its snapshots, and returns
// how to take it away.
func (r *run) inTheWay(s *redistest.Server) func() {
	name := filepath.Join(s.Dir, "dump.rdb")
	_ = os.Remove(name) // it may not be there
	if err := os.Mkdir(name, 0o700); err != nil {
		r.note("%v", err)
	}
	return func() { _ = os.Remove(name) } // the same
}

// load lets the server come back with so much data that it answers LOADING for
// a while; Redis 6.0 says nothing meanwhile.
func load(r *run, _ *rand.Rand, length time.Duration) {
	r.onServer(func(ctx context.Context) {
		const keys = 1000
		filler := make([]any, 0, 2*keys+1)
		filler = append(filler, "MSET")
		for i := range keys {
			filler = append(filler, fmt.Sprintf("filler:%d", i), "x")
		}
		r.tell(ctx, filler...)
		r.tell(ctx, "SAVE")
		const answers = "loading-process-events-interval-bytes"
		options := []string{"--key-load-delay", fmt.Sprint(min(length, 2*time.Second).Microseconds() / keys)}
		if known, _ := r.admin.ConfigGet(ctx, answers).Result(); len(known) > 0 {
			options = append(options, "--"+answers, "1024")
		}
		r.server.Kill()
		r.server.Restart(options...)
		empty(r)
	})
}

func command(words ...any) func(*run, *rand.Rand, time.Duration) {
	return func(r *run, _ *rand.Rand, _ time.Duration) {
		r.onServer(func(ctx context.Context) { r.tell(ctx, words...) })
	}
}

func configured(name, value, back string) func(*run, *rand.Rand, time.Duration) {
	return func(r *run, _ *rand.Rand, length time.Duration) {
		r.onServer(func(ctx context.Context) {
			r.tell(ctx, "CONFIG", "SET", name, value)
			time.Sleep(length)
			r.tell(ctx, "CONFIG", "SET", name, back)
		})
	}
}

func pauseClients(r *run, _ *rand.Rand, length time.Duration) {
	r.onServer(func(ctx context.Context) {
		r.tell(ctx, "CLIENT", "PAUSE", length.Milliseconds())
		time.Sleep(length)
	})
}

// readOnly makes the server a replica of nobody that is there.
func readOnly(r *run, _ *rand.Rand, length time.Duration) {
	r.onServer(func(ctx context.Context) {
		r.tell(ctx, "REPLICAOF", "127.0.0.1", "1")
		time.Sleep(length)
		r.tell(ctx, "REPLICAOF", "NO", "ONE")
	})
}

func masterDown(r *run, random *rand.Rand, length time.Duration) {
	r.onServer(func(ctx context.Context) { r.tell(ctx, "CONFIG", "SET", "replica-serve-stale-data", "no") })
	readOnly(r, random, length)
}

// busyScript keeps the server busy with a script.
func busyScript(r *run, _ *rand.Rand, length time.Duration) {
	r.onServer(func(ctx context.Context) {
		r.tell(ctx, "CONFIG", "SET", "lua-time-limit", "20")
		loop := r.server.Client(r.t, func(o *redis.Options) { o.ReadTimeout, o.MaxRetries = time.Minute, -1 })
		ended := make(chan struct{})
		go func() {
			_ = loop.Eval(ctx, "while true do end", nil).Err() // is killed
			close(ended)
		}()
		time.Sleep(length)
		r.tell(ctx, "SCRIPT", "KILL")
		<-ended
	})
}

// deleteKeys deletes keys as somebody with redis-cli would: one of those that
// match, up to three times.
func deleteKeys(pattern string) func(*run, *rand.Rand, time.Duration) {
	return func(r *run, random *rand.Rand, length time.Duration) {
		times := 1 + random.IntN(3)
		for range times {
			r.onServer(func(ctx context.Context) {
				keys, _ := r.tell(ctx, "KEYS", keyPrefix+pattern).([]any)
				random.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
				for _, key := range keys[:min(len(keys), 1)] {
					r.note("delete %v", key)
					r.tell(ctx, "DEL", key)
				}
			})
			time.Sleep(length / time.Duration(times))
		}
	}
}
