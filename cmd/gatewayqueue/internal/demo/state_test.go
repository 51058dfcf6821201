package demo

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/stretchr/testify/assert"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/picture"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/picture/goldentest"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
)

var now = time.Date(2026, 11, 26, 12, 34, 56, 0, time.Local)

// running is a run of sixteen shards in four buckets after 7.9 s: two of each
// bucket are up.
func running() state {
	s := state{
		config:   defaultConfig(),
		progress: progress{Up: 8, Owed: 8, Spent: 8, Elapsed: 7900 * time.Millisecond, Missing: []int{2, 2, 2, 2}},
		verdict:  gatewaytest.Verdict{Identifies: 8, LeastGap: 5251 * time.Millisecond},
		pods:     []string{"pod-1", "pod-2", "pod-3", "pod-4"},
		notes:    []string{"look: gatewayqueue status --watch --redis redis://127.0.0.1:40863"},
		look:     []string{"redis-cli -u redis://127.0.0.1:40863 --scan", "gatewayqueue status --watch --redis redis://127.0.0.1:40863"},
	}
	s.App, s.Dial = "demo-abcdef", 0
	s.fill(4)
	return s
}

// fill makes the queue and the marks of so many buckets.
func (s *state) fill(buckets int) {
	s.MaxConcurrency = buckets
	s.queue = gatewayqueue.Status{
		App: s.App, Time: now, Epoch: "e",
		Budget: gatewayqueue.BudgetStatus{Total: s.Total, Remaining: s.Remaining - s.Spent, MaxConcurrency: buckets, Reset: now.Add(24*time.Hour - 8*time.Second)},
	}
	for i, pod := range s.pods {
		s.queue.Pods = append(s.queue.Pods, gatewayqueue.PodStatus{Pod: pod + "-0000000" + fmt.Sprint(i), Lease: now.Add(2 * time.Second)})
	}
	s.marks = nil
	for round := range 2 {
		for b := range buckets {
			at := time.Duration(round)*5250*time.Millisecond + time.Duration(b)*time.Millisecond
			s.marks = append(s.marks, picture.Mark{Shard: b + round*buckets, Bucket: b, Pod: s.pods[(b+round)%4], At: at, Until: at + s.closes()})
		}
	}
	for b := range buckets {
		holder := fmt.Sprintf("%05d@%s#1", b+buckets, s.queue.Pods[(b+1)%4].Pod)
		s.queue.Buckets = append(s.queue.Buckets, gatewayqueue.BucketStatus{
			Bucket: b, Closed: 2600 * time.Millisecond, Holder: holder, Waiting: 2,
			Line: []gatewayqueue.Place{{Ticket: fmt.Sprintf("%05d@pod-3-00000002#1", b+2*buckets)}, {Ticket: fmt.Sprintf("%05d@pod-1-00000000#2", b+3*buckets)}},
		})
	}
}

// Each file in testdata was looked at.
func TestScreen(t *testing.T) {
	for name, change := range map[string]func(*state){
		"running": func(*state) {},
		"first": func(s *state) { // Redis has said nothing yet
			s.queue, s.marks, s.verdict = gatewayqueue.Status{}, nil, gatewaytest.Verdict{}
			s.progress = progress{Owed: 16, Elapsed: 30 * time.Millisecond, Missing: []int{4, 4, 4, 4}}
			s.Remaining = 8
		},
		"short": func(s *state) {
			s.Remaining = 12
			s.queue.Budget.Remaining = 4
		},
		"exhausted": func(s *state) {
			s.Remaining, s.Owed, s.Left, s.Missing = 8, 0, 8, []int{0, 0, 0, 0}
			s.queue.Budget.Remaining = 0
			for i := range s.queue.Buckets {
				s.queue.Buckets[i].Waiting, s.queue.Buckets[i].Line = 0, nil
			}
		},
		"killed": func(s *state) {
			s.queue.Pods[2].Lease = now.Add(-1200 * time.Millisecond)
			for i := range s.queue.Buckets { // a Status names nobody in line in the place of a dead pod
				s.queue.Buckets[i].Waiting, s.queue.Buckets[i].Line = 1, s.queue.Buckets[i].Line[1:]
			}
			s.moments = []picture.Moment{{At: 6700 * time.Millisecond, Text: "pod-3 killed"}}
			s.notes = append(s.notes, "6.7 s  killed pod-3 (SIGKILL) with 2 of its 4 shards up")
		},
		"violations": func(s *state) {
			s.Up, s.Refused = 7, 1
			s.marks[5].Bad = true
			s.verdict.Violations = 1
			s.notes = append(s.notes, "5.3 s  shard 5 of pod-3 was refused: only 4.98s after the one before")
		},
		"away": func(s *state) {
			s.trouble = errors.New("Redis at redis://127.0.0.1:6379: dial tcp 127.0.0.1:6379: connect: connection refused: nothing listens there: start redis-server, or correct host and port")
		},
		"many": func(s *state) {
			s.Shards, s.Up, s.Owed, s.Spent, s.Missing = 128, 64, 64, 64, make([]int, 32)
			s.fill(32)
		},
		"acquire": func(s *state) {
			s.Mode, s.Dial, s.Margin = modeAcquire, 300*time.Millisecond, 50*time.Millisecond
			s.queue.Buckets[1].Permit = true
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := running()
			change(&s)
			goldentest.Screen(t, name, s.screen(), picture.View{})
		})
	}
	t.Run("many-scrolled", func(t *testing.T) {
		s := running()
		s.Shards, s.Up, s.Owed, s.Missing = 128, 64, 64, make([]int, 32)
		s.fill(32)
		goldentest.Screen(t, "many-scrolled", s.screen(), picture.View{Top: 1000})
	})
	t.Run("summary", func(t *testing.T) {
		goldentest.Screen(t, "summary", sampleReport().screen(), picture.View{Final: true})
	})
	t.Run("summary-cut", func(t *testing.T) {
		r := sampleReport()
		r.cut, r.marks, r.grants, r.handoff = true, nil, nil, nil
		goldentest.Screen(t, "summary-cut", r.screen(), picture.View{Final: true})
	})
}

func TestScreen_TellsFromTheFirstSecondThatTheBudgetIsShort(t *testing.T) {
	s := running()
	s.queue, s.Remaining = gatewayqueue.Status{}, 8
	s.progress = progress{Owed: 16, Missing: []int{4, 4, 4, 4}}
	for _, size := range goldentest.Sizes {
		lines, _ := picture.Draw(s.screen(), picture.View{}, size[0], size[1])
		text := strings.Join(strings.Fields(ansi.Strip(strings.Join(lines, " "))), " ")
		assert.Contains(t, text, "8 left for 16 shards", "%v", size)
	}
}

// The picture is of two sources, of which the status is the older one.
func TestScreen_EstimatesFromTheNewest(t *testing.T) {
	step := 5250 * time.Millisecond
	for name, test := range map[string]struct {
		change func(*state)
		want   string
	}{
		"nothing is known yet": {func(s *state) {
			s.queue, s.marks, s.progress = gatewayqueue.Status{}, nil, progress{Owed: 16, Missing: []int{4, 4, 4, 4}}
		}, "0.0 s"},
		"the status is from before the first identify": {func(s *state) {
			s.marks = s.marks[:4]
			s.progress = progress{Up: 4, Owed: 12, Spent: 4, Elapsed: 200 * time.Millisecond, Missing: []int{3, 3, 3, 3}}
			for i := range s.queue.Buckets {
				s.queue.Buckets[i].Closed, s.queue.Buckets[i].Permit = 0, true
			}
		}, "0.2 s of about 15.8 s"},
		"there is no status yet": {func(s *state) {
			s.queue, s.marks = gatewayqueue.Status{}, s.marks[:4]
			s.progress = progress{Up: 4, Owed: 12, Spent: 4, Elapsed: 200 * time.Millisecond, Missing: []int{3, 3, 3, 3}}
		}, "0.2 s of about 15.8 s"},
		"the status is of before the second round": {func(s *state) {
			s.Elapsed = step + 100*time.Millisecond
			for i := range s.queue.Buckets {
				s.queue.Buckets[i].Closed = 0
			}
		}, "5.3 s of about 15.8 s"},
		"Redis was empty, and holds": {func(s *state) {
			s.marks, s.queue.Hold = nil, 10*time.Second
			s.progress = progress{Owed: 16, Missing: []int{4, 4, 4, 4}}
			for i := range s.queue.Buckets {
				s.queue.Buckets[i].Closed = 0
			}
		}, "0.0 s of about 25.8 s"},
	} {
		t.Run(name, func(t *testing.T) {
			s := running()
			test.change(&s)
			s.queue = s.known()
			assert.Equal(t, test.want, s.timeFields()[0].Text)
		})
	}
}
