package simulation

// What lies between a pod and Redis: the server's clock is set, calls are
// counted, and a pod that has crashed is not heard any more.

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/gatewayqueue/gatewayqueue/lua"
)

// wire is a pod's client.
type wire struct {
	*redis.Client
	fleet *fleet
	cut   atomic.Bool

	// One call at a time: nobody may have to wait for a connection of go-redis's
	// pool, whose timers all bubbles would share. As a call takes no time, one
	// connection does what several do.
	mu sync.Mutex
}

// wire returns a client that is go-redis as it comes, but for what would look
// up a name or go by the real time.
func (f *fleet) wire() *wire {
	client := redis.NewClient(&redis.Options{
		Addr: f.world.server.Addr, PoolSize: 1, ReadTimeout: -2, WriteTimeout: -2, ConnMaxIdleTime: -1, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	return &wire{Client: client, fleet: f}
}

// EvalSha and Eval are what a queue sends.
func (w *wire) EvalSha(ctx context.Context, hash string, keys []string, args ...any) *redis.Cmd {
	return w.send(hash, func() *redis.Cmd { return w.Client.EvalSha(ctx, hash, keys, args...) })
}

func (w *wire) Eval(ctx context.Context, script string, keys []string, args ...any) *redis.Cmd {
	return w.send(script, func() *redis.Cmd { return w.Client.Eval(ctx, script, keys, args...) })
}

var errCut = errors.New("simulation: this pod is dead")

func (w *wire) send(script string, call func() *redis.Cmd) *redis.Cmd {
	w.mu.Lock()
	defer w.mu.Unlock()
	failed := redis.NewCmd(context.Background())
	if err := w.fleet.world.tell(time.Now()); err != nil {
		failed.SetErr(err)
		return failed
	}
	failed.SetErr(errCut)
	if w.cut.Load() {
		return failed
	}
	w.fleet.sends(script)
	reply := call()
	if w.cut.Load() {
		return failed
	}
	return reply
}

func (f *fleet) sends(script string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sent[scripts[script]]++
}

// scripts are the queue's scripts by what EVALSHA and EVAL call them.
var scripts = func() map[string]string {
	names := make(map[string]string)
	for _, script := range []*lua.Script{lua.Claim, lua.Identified, lua.Renew, lua.Abandon, lua.Beat, lua.Sync, lua.Status} {
		names[script.Source], names[redis.NewScript(script.Source).Hash()] = script.Name, script.Name
	}
	return names
}()
