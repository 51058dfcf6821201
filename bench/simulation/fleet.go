package simulation

// A fleet's life, from the first pod's start to its end.

import (
	"errors"
	"sync"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/bench/server"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
)

type fleet struct {
	world *World
	spec  Spec
	meter *server.Meter
	judge *gatewaytest.Judge
	start time.Time
	tasks sync.WaitGroup // shards, and whatever else runs

	mu     sync.Mutex
	over   bool
	err    error
	pods   []*pod        // who holds each block; nil while nobody does
	lives  []int         // how many pods each block has had
	down   int           // shards that have not been up since their pod's start
	rising chan struct{} // while the whole fleet comes up; closed when it is

	turns      []turn
	sent       map[string]int // by script
	marks      []mark
	rises      []rise
	recoveries []recovery
	counts     []count
}

// turn is a shard's way to its identify. Times are since the start.
type turn struct {
	shard, life                  int
	first                        bool // in its pod
	entered, granted, identified time.Duration
}

// rise is the start of the whole fleet, or its restart.
type rise struct{ from, to mark }

// recovery is what became of a block whose pod had crashed alone.
type recovery struct {
	first, end, life    int
	crashed, opened, up time.Duration
}

func (f *fleet) now() time.Duration { return time.Since(f.start) }

// run is all of it. It returns when nothing runs any more.
func (f *fleet) run() {
	f.meter = f.world.server.NewMeter()
	defer f.meter.Close()
	if err := f.follows(); err != nil {
		f.fail(err)
		return
	}
	f.judge = gatewaytest.NewJudge(f.spec.limit(), gatewayqueue.IdentifyDelay)
	f.start = time.Now()
	f.pods, f.lives = make([]*pod, f.spec.Pods), make([]int, f.spec.Pods)

	stop := make(chan struct{})
	f.tasks.Go(func() { f.tick(stop) })
	up := f.startAll(0)
	if f.spec.Life == 0 {
		<-up
	} else {
		f.liveOn()
	}
	f.look()
	close(stop)
	f.end()
	f.tasks.Wait()
}

// liveOn is a fleet's life, with a look at the budget before the end of its
// first day: the period begins with the first grant, some seconds after the
// start.
func (f *fleet) liveOn() {
	f.tasks.Go(func() {
		if f.spec.Life > gatewayqueue.LimitPeriod {
			time.Sleep(gatewayqueue.LimitPeriod - f.now())
			f.look()
		}
	})
	for _, e := range f.spec.fate() {
		time.Sleep(e.at - f.now())
		f.crash(e)
	}
	time.Sleep(f.spec.Life - f.now())
}

// tick takes a reading every minute.
func (f *fleet) tick(stop <-chan struct{}) {
	ticks := time.NewTicker(time.Minute)
	defer ticks.Stop()
	for {
		select {
		case <-ticks.C:
			f.mark()
		case <-stop:
			return
		}
	}
}

// startAll starts every pod, some time from now and not all at once. The
// channel is closed when every shard is up.
func (f *fleet) startAll(after time.Duration) <-chan struct{} {
	f.mu.Lock()
	up := make(chan struct{})
	f.down, f.rising = f.spec.Shards, up
	lives := append([]int(nil), f.lives...)
	f.mu.Unlock()
	f.tasks.Go(func() {
		time.Sleep(after)
		from := f.mark()
		<-up
		to := f.mark()
		f.mu.Lock()
		defer f.mu.Unlock()
		f.rises = append(f.rises, rise{from, to})
	})
	for i, life := range lives {
		f.tasks.Go(func() { f.startPod(i, after+f.spec.spread(i, life), nil) })
	}
	return up
}

// startPod starts a pod. r is what it recovers from, or nil.
func (f *fleet) startPod(i int, after time.Duration, r *recovery) {
	time.Sleep(after)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over || f.pods[i] != nil {
		return
	}
	p, err := f.open(i)
	if err != nil {
		f.failed(err)
		return
	}
	if r != nil {
		r.opened, r.first, r.end, r.life = f.now(), p.first, p.end, p.life
		p.recovery = r
	}
	f.pods[i] = p
	f.lives[i]++
	for shard := p.first; shard < p.end; shard++ {
		f.tasks.Go(func() { f.live(p, shard) })
	}
}

// crash ends one pod, or all, and starts new ones.
func (f *fleet) crash(e event) {
	f.mu.Lock()
	var dead []*pod
	for i, p := range f.pods {
		if p != nil && (e.pod == i || e.pod == everyPod) {
			dead = append(dead, p)
			f.down += p.end - p.first - p.down
			f.pods[i] = nil
		}
	}
	f.mu.Unlock()
	for _, p := range dead {
		p.wire.cut.Store(true)
		f.tasks.Go(p.stop)
	}
	switch {
	case e.pod == everyPod:
		f.startAll(Replacement)
	case len(dead) > 0:
		f.tasks.Go(func() { f.startPod(e.pod, Replacement, &recovery{crashed: f.now()}) })
	}
}

// identified is told that a shard sends IDENTIFY.
func (f *fleet) identified(p *pod, t turn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p.wire.cut.Load() || f.over {
		return // in the instant of the crash
	}
	f.judge.Identify(t.shard)
	t.identified = f.now()
	f.turns = append(f.turns, t)
	if !t.first {
		return
	}
	if p.down--; p.down == 0 && p.recovery != nil {
		p.recovery.up = t.identified
		f.recoveries = append(f.recoveries, *p.recovery)
	}
	if f.down--; f.down == 0 && f.rising != nil {
		close(f.rising)
		f.rising = nil
	}
}

// end ends what is left.
func (f *fleet) end() {
	f.mu.Lock()
	f.over = true
	if f.rising != nil {
		f.failed(errors.New("simulation: it ended before the fleet was up"))
		close(f.rising)
	}
	f.mu.Unlock()
	for _, p := range f.pods {
		if p != nil {
			f.tasks.Go(p.stop)
		}
	}
}

func (f *fleet) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failed(err)
}

// failed is fail for those who hold mu.
func (f *fleet) failed(err error) { f.err = errors.Join(f.err, err) }
