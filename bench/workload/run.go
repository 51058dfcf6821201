package workload

// One run, from the server's start to its end.

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatewayqueue/gatewayqueue/bench/contest"
	"github.com/gatewayqueue/gatewayqueue/bench/server"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
)

// pod is one process's part of a run.
type pod struct {
	contest.Pod
	cord   *cord
	client *redis.Client
	ctx    context.Context // of its waiters
	kill   context.CancelFunc
	dead   bool // under the field's mu
}

// field is where a run takes place.
type field struct {
	spec   Spec
	pods   []*pod
	ends   []func() // of services
	judge  *gatewaytest.Judge
	start  time.Time
	ctx    context.Context
	cancel context.CancelFunc

	mu    sync.Mutex
	turns []turn
}

// turn is one shard's way to its identify.
type turn struct {
	shard, bucket                int
	entered, granted, identified time.Duration // since the start
}

// Do runs a contestant through a workload once. idle is the share of a core
// that an idle server uses; it is not part of the contestant's cost.
func Do(c contest.Contestant, spec Spec, run int, idle float64) (Run, error) {
	f := &field{spec: spec}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	defer f.cancel()
	var meter *server.Meter
	if c.Local {
		if err := f.openShared(c); err != nil {
			return Run{}, err
		}
	} else {
		s, err := server.Start()
		if err != nil {
			return Run{}, err
		}
		defer s.Stop()
		meter = s.NewMeter()
		defer meter.Close()
		if err := f.warm(c, s.Addr); err != nil {
			return Run{}, err
		}
		if err := f.open(c, s.Addr); err != nil {
			return Run{}, err
		}
	}
	defer f.close()

	parts := spec.parts(run)
	g := &gauge{meter: meter, sent: c.Sent}
	if err := g.mark(); err != nil {
		return Run{}, err
	}
	all := f.bringUp(parts)
	if !spec.drains() {
		time.Sleep(time.Until(f.start.Add(spec.settled())))
		if err := g.mark(); err != nil {
			return Run{}, err
		}
	}
	select {
	case <-all:
	case <-f.ctx.Done():
		if spec.drains() {
			return Run{}, fmt.Errorf("%s: %d of %d shards were up after %v", c.Name, f.count(), spec.Shards, spec.bound())
		}
	}
	if err := g.mark(); err != nil { // before waiters leave
		return Run{}, err
	}
	f.cancel()
	<-all
	return f.result(c, g, idle), nil
}

func (f *field) open(c contest.Contestant, addr string) error {
	service, err := f.serve(c, f.spec.setup("service"), addr)
	if err != nil {
		return err
	}
	for i := range f.spec.Pods {
		p := &pod{cord: &cord{}}
		p.client = p.cord.client(addr)
		p.ctx, p.kill = context.WithCancel(f.ctx) //nolint:fatcontext // each pod has one of its own
		f.pods = append(f.pods, p)
		setup := f.spec.setup(fmt.Sprintf("pod%d", i))
		setup.Service = service
		if p.Pod, err = c.Open(setup, p.client); err != nil {
			return err
		}
	}
	return nil
}

// serve starts the service that the pods share, if the contestant has one. It
// ends with the field.
func (f *field) serve(c contest.Contestant, setup contest.Setup, addr string) (address string, err error) {
	if c.Serve == nil {
		return "", nil
	}
	client := new(cord).client(addr)
	address, end, err := c.Serve(setup, client)
	f.ends = append(f.ends, func() {
		if end != nil {
			end()
		}
		_ = client.Close()
	})
	return address, err
}

// warm lets one shard of another application identify first, so that the server
// knows the contestant's scripts.
func (f *field) warm(c contest.Contestant, addr string) error {
	client := new(cord).client(addr)
	defer client.Close() //nolint:errcheck // nothing is left to do
	setup := f.spec.setup("warm")
	setup.App = "warm"
	var err error
	if setup.Service, err = f.serve(c, setup, addr); err != nil {
		return err
	}
	p, err := c.Open(setup, client)
	if err != nil {
		return err
	}
	defer p.Close()
	ctx, cancel := context.WithTimeout(f.ctx, 20*time.Second)
	defer cancel()
	return p.Turn(ctx, 0, func() {}, func() {})
}

// openShared opens what serves one process, for all pods.
func (f *field) openShared(c contest.Contestant) error {
	shared, err := c.Open(f.spec.setup("pod"), nil)
	for range f.spec.Pods {
		p := &pod{Pod: shared}
		p.ctx, p.kill = context.WithCancel(f.ctx) //nolint:fatcontext // each pod has one of its own
		f.pods = append(f.pods, p)
	}
	return err
}

func (f *field) close() {
	f.cancel()
	var all sync.WaitGroup
	for i, p := range f.pods {
		if p.client == nil && i > 0 {
			break // it is shared
		}
		all.Go(func() {
			p.Close()
			if p.client != nil {
				_ = p.client.Close()
			}
		})
	}
	all.Wait()
	for _, end := range f.ends {
		end()
	}
}

// bringUp starts all shards. The channel that it returns is closed when each
// has identified or left.
func (f *field) bringUp(parts []part) <-chan struct{} {
	var shards sync.WaitGroup
	ready := make(chan struct{})
	for _, p := range parts {
		shards.Go(func() {
			<-ready
			f.turn(p)
		})
	}
	f.judge = gatewaytest.NewJudge(f.spec.limit(), f.spec.Window)
	f.start = time.Now()
	time.AfterFunc(f.spec.bound(), f.cancel)
	close(ready)
	if f.spec.Killed > 0 {
		time.AfterFunc(f.spec.length()/3, f.killSome)
	}
	all := make(chan struct{})
	go func() {
		shards.Wait()
		close(all)
	}()
	return all
}

func (f *field) killSome() {
	for _, p := range f.pods[:min(f.spec.Killed, len(f.pods))] {
		f.mu.Lock()
		p.dead = true
		f.mu.Unlock()
		if p.cord != nil {
			p.cord.sever()
		}
		p.kill()
	}
}

func (f *field) turn(p part) {
	home := f.pods[p.pod]
	ctx := home.ctx
	if p.arrives > 0 {
		select {
		case <-time.After(time.Until(f.start.Add(p.arrives))):
		case <-ctx.Done():
			return
		}
	}
	if p.leaves > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, f.start.Add(p.leaves))
		defer cancel()
		ctx = leaver{ctx}
	}
	t := turn{shard: p.shard, bucket: f.spec.limit().Bucket(p.shard), entered: time.Since(f.start)}
	_ = home.Turn(ctx, p.shard,
		func() {
			t.granted = time.Since(f.start)
			if p.dial > 0 {
				time.Sleep(p.dial)
			}
		},
		func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			if home.dead || f.ctx.Err() != nil {
				return
			}
			f.judge.Identify(p.shard)
			t.identified = time.Since(f.start)
			f.turns = append(f.turns, t)
		})
}

// leaver hides a context's deadline: who gives up did not know when.
type leaver struct{ context.Context }

func (leaver) Deadline() (time.Time, bool) { return time.Time{}, false }

func (f *field) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.turns)
}
