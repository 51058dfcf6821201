// The live view: what has been seen so far, and when it ends.

package demo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/cli"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/picture"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
)

// errEnough ends a run of which the user has seen enough: the summary is of what
// was until then.
var errEnough = errors.New("the user has seen enough")

// view is a screen that moves.
type view struct {
	config
	live   *picture.Live
	ledger *ledger
	judge  *gatewaytest.Judge
	watch  *watch
	look   []string // commands for another terminal
	ended  chan struct{}

	mu      sync.Mutex
	marks   []picture.Mark
	moments []picture.Moment
	pods    []string
	notes   []string
}

func (v *view) begin(l *ledger) {
	v.ledger = l
	go func() {
		defer close(v.ended)
		_ = v.live.Run() // The run goes on without a view.
	}()
}

// shard may be called with the ledger locked.
func (v *view) shard(e event, p progress) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if e.Kind != identified {
		return
	}
	if !slices.Contains(v.pods, e.Pod) {
		v.pods = append(v.pods, e.Pod)
	}
	v.marks = append(v.marks, picture.Mark{
		Shard: e.Shard, Bucket: e.Shard % v.MaxConcurrency, Pod: e.Pod, At: p.Elapsed, Until: p.Elapsed + v.closes(), Bad: !e.Ruling.Accepted,
	})
	if !e.Ruling.Accepted {
		v.notes = append(v.notes, fmt.Sprintf("%s  shard %d of %s was refused: %s", picture.Seconds(p.Elapsed), e.Shard, e.Pod, refusal(*e.Ruling)))
	}
}

func (v *view) note(text string) {
	at := v.ledger.now().Elapsed
	v.mu.Lock()
	defer v.mu.Unlock()
	v.notes = append(v.notes, fmt.Sprintf("%s  %s", picture.Seconds(at), text))
}

func (v *view) moment(text string) {
	at := v.ledger.now().Elapsed
	v.mu.Lock()
	defer v.mu.Unlock()
	v.moments = append(v.moments, picture.Moment{At: at, Text: text})
}

func (v *view) end() {
	v.live.Stop()
	<-v.ended
}

func (v *view) summary(s picture.Screen, follow int) error {
	return v.live.Leave(s, picture.View{}, follow)
}

// screen is the picture of this moment.
func (v *view) screen() picture.Screen {
	progress, seen, verdict := v.ledger.now(), v.watch.now(), v.judge.Verdict()
	v.mu.Lock()
	defer v.mu.Unlock()
	return state{
		config: v.config, progress: progress, queue: seen.status, trouble: seen.err, verdict: verdict,
		marks: slices.Clone(v.marks), moments: slices.Clone(v.moments), pods: v.allPods(), notes: slices.Clone(v.notes), look: v.look,
	}.screen()
}

// allPods are those that are there from the start, and then those that came later.
func (v *view) allPods() (pods []string) {
	for i := range v.Pods {
		pods = append(pods, podName(i))
	}
	for _, pod := range v.pods {
		if !slices.Contains(pods, pod) {
			pods = append(pods, pod)
		}
	}
	return pods
}

// stopper is what the view calls when the user asks to end.
func stopper(cancel context.CancelCauseFunc) func(enough bool) {
	return func(enough bool) {
		if enough {
			cancel(errEnough)
		} else {
			cancel(cli.Interrupted)
		}
	}
}
