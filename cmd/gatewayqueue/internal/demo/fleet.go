// The fleet: starting the pods, killing one, ending them all.

package demo

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
)

// death is the end of a pod, and who took its shards over.
type death struct {
	Pod, Heir string
	At, Back  time.Duration // since the start
	Shards    []int         // those that it had not brought up
}

// fleet runs the pods.
type fleet struct {
	config
	ledger   *ledger
	judge    *gatewaytest.Judge
	template spec // what all pods have in common
	recruit  func(context.Context, spec) (member, error)
	note     func(string)
	moment   func(string)
	orphans  sync.WaitGroup // the goroutine that kills

	// Written by run, and then by killOne only, which stop waits for.
	members []member // in the order of their start
	specs   []spec
	deaths  []death
}

// run brings up all shards, and returns when each is up or has failed. The pods
// are still there then: end them with stop.
func (f *fleet) run(ctx context.Context) error {
	for i := range f.Pods {
		if _, err := f.enlist(ctx, podName(i), f.share(i)); err != nil {
			return err
		}
	}
	f.ledger.begin()
	for _, m := range f.members {
		m.start()
	}
	if f.KillPod {
		f.orphans.Go(func() { f.killOne(ctx) })
	}
	select {
	case <-f.ledger.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func podName(i int) string { return fmt.Sprintf("pod-%d", i+1) }

// share is what pod i of a StatefulSet would run: neighbouring shards. So each
// pod has shards in many buckets, and each bucket has shards of many pods.
func (f *fleet) share(i int) []int {
	var shards []int
	for shard := f.Shards * i / f.Pods; shard < f.Shards*(i+1)/f.Pods; shard++ {
		shards = append(shards, shard)
	}
	return shards
}

func (f *fleet) enlist(ctx context.Context, name string, shards []int) (member, error) {
	s := f.template
	s.Pod, s.Shards, s.Seed = name, shards, uint64(f.Seed)<<16+uint64(len(f.specs)) // Not negative.
	m, err := f.recruit(ctx, s)
	if err != nil {
		return nil, err
	}
	f.members, f.specs = append(f.members, m), append(f.specs, s)
	return m, nil
}

// killOne kills, half-way, the pod that has most left to do, and starts another
// one for what it leaves. Its shards that are up would resume, which needs no
// turn in a queue.
func (f *fleet) killOne(ctx context.Context) {
	select {
	case <-f.ledger.half:
	case <-f.ledger.done: // the budget did not last to the half
		return
	case <-ctx.Done():
		return
	}
	victim := 0
	for i, s := range f.specs {
		if len(f.ledger.missing(s.Shards)) > len(f.ledger.missing(f.specs[victim].Shards)) {
			victim = i
		}
	}
	name := f.specs[victim].Pod
	f.members[victim].kill()
	at := f.ledger.now().Elapsed
	f.ledger.saw(f.judge.Record())
	left := f.ledger.missing(f.specs[victim].Shards)
	f.ledger.lost(left)
	all := len(f.specs[victim].Shards)
	f.moment(name + " killed")
	f.note(fmt.Sprintf("killed %s%s with %d of its %d shards up", name, f.how(), all-len(left), all))
	heir := name + "b"
	if len(left) == 0 || sleep(ctx, f.restart()) != nil {
		return
	}
	m, err := f.enlist(ctx, heir, left)
	if err != nil {
		for _, shard := range left {
			f.ledger.hear(event{Kind: failed, Pod: heir, Shard: shard, At: time.Now(), Error: err.Error()})
		}
		return
	}
	f.deaths = append(f.deaths, death{Pod: name, Heir: heir, At: at, Back: f.ledger.now().Elapsed, Shards: left})
	m.start()
	f.moment(heir + " takes over")
	f.note(fmt.Sprintf("%s has taken over, and queues for shards %s", heir, list(left)))
}

// list writes shard IDs, the first of them if they are many.
func list(shards []int) string {
	const most = 8
	var words []string
	for _, shard := range shards[:min(most, len(shards))] {
		words = append(words, strconv.Itoa(shard))
	}
	if len(shards) > most {
		words = append(words, "...")
	}
	return strings.Join(words, " ")
}

func (f *fleet) how() string {
	if f.Processes {
		return " (SIGKILL)"
	}
	return " (cut off, no Close)"
}

// stop ends all pods cleanly, and returns how many scripts they have called.
func (f *fleet) stop() (calls int64) {
	f.orphans.Wait()
	var pods sync.WaitGroup
	for _, m := range f.members {
		pods.Go(m.stop)
	}
	pods.Wait()
	for _, m := range f.members {
		calls += m.calls()
	}
	return calls
}

// sender is the pod that had a shard at a moment.
func (f *fleet) sender(shard int, at time.Duration) string {
	for _, d := range f.deaths {
		if at >= d.At && slices.Contains(d.Shards, shard) {
			return d.Heir
		}
	}
	for _, s := range f.specs {
		if slices.Contains(s.Shards, shard) {
			return s.Pod
		}
	}
	return ""
}
