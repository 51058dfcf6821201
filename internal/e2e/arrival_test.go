// When IDENTIFYs were sent, and when they arrived. A busy machine can keep the
// gateway from reading one for longer than the margin, as no network between
// Discord and a healthy machine does. Such a violation is told from one of the
// queue's by what the pods say of when they sent.

package e2e

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
)

// saySent makes a pod print when each of its permits was reported identified,
// which is right after IDENTIFY was written.
func saySent(e gatewayqueue.Event) {
	if e.Kind == gatewayqueue.EventIdentified {
		fmt.Printf("%d %d\n", e.ShardID, time.Now().UnixNano())
	}
}

// sends collects what the pods print. Each pod writes whole lines.
type sends struct {
	mu sync.Mutex
	at map[int][]time.Time // by shard
}

// of returns an io.Writer for the output of one pod.
func (s *sends) of() *sendsOf { return &sendsOf{all: s} }

type sendsOf struct {
	all  *sends
	line []byte
}

func (s *sendsOf) Write(p []byte) (int, error) {
	s.line = append(s.line, p...)
	s.all.mu.Lock()
	defer s.all.mu.Unlock()
	for {
		line, rest, whole := bytes.Cut(s.line, []byte("\n"))
		if !whole {
			return len(p), nil
		}
		s.line = rest
		var shard int
		var at int64
		if n, _ := fmt.Sscan(string(line), &shard, &at); n == 2 {
			s.all.at[shard] = append(s.all.at[shard], time.Unix(0, at))
		}
	}
}

// note is saySent for a queue of the test's own process.
func (s *sends) note(e gatewayqueue.Event) {
	if e.Kind == gatewayqueue.EventIdentified {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.at[e.ShardID] = append(s.at[e.ShardID], time.Now())
	}
}

// nearest is when the IDENTIFY was sent that arrived at a time. A shard's are
// seconds apart.
func (s *sends) nearest(shard int, arrived time.Time) (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.at[shard]) == 0 {
		return time.Time{}, false
	}
	return slices.MinFunc(s.at[shard], func(a, b time.Time) int {
		return int(a.Sub(arrived).Abs() - b.Sub(arrived).Abs())
	}), true
}

// machine counts the violations whose IDENTIFYs were sent a window apart and
// arrived closer together; for any other the test fails.
func (f *fleet) machine(t *testing.T) (n int) {
	t.Helper()
	last := make(map[int]gatewaytest.Identify) // by bucket
	for _, i := range f.gateway.Judge().Record() {
		before := last[i.Bucket]
		last[i.Bucket] = i
		if !i.Early {
			continue
		}
		sent, ok := f.sends.nearest(i.Shard, f.origin.Add(i.At))
		sentBefore, okBefore := f.sends.nearest(before.Shard, f.origin.Add(before.At))
		apart := sent.Sub(sentBefore)
		if assert.True(t, ok && okBefore && apart >= f.window, "shards %d and %d identified %v apart, and that was sent %v apart",
			before.Shard, i.Shard, i.Gap, apart) {
			n++
			t.Logf("the machine's: shards %d and %d sent %v apart, the first was read %v after it was sent",
				before.Shard, i.Shard, apart, f.origin.Add(before.At).Sub(sentBefore))
		}
	}
	return n
}
