package status

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/look"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/picture"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/picture/goldentest"
)

var now = time.Date(2026, 11, 26, 12, 34, 56, 0, time.Local)

func places(tickets ...string) (line []gatewayqueue.Place) {
	for _, t := range tickets {
		line = append(line, gatewayqueue.Place{Ticket: t, Arrival: now})
	}
	return line
}

func pods(leases map[string]time.Duration) (all []gatewayqueue.PodStatus) {
	for _, name := range []string{"web-1-00000001", "web-2-00000002", "web-3-00000003", "web-4-00000004"} {
		if lease, ok := leases[name[:5]]; ok {
			all = append(all, gatewayqueue.PodStatus{Pod: name, Lease: now.Add(lease)})
		}
	}
	return all
}

// busy has a bucket in each state.
func busy() snapshot {
	return snapshot{From: "redis://queue-redis:6379", Status: gatewayqueue.Status{
		App: "123456789012345678", Time: now, Epoch: "e",
		Budget: gatewayqueue.BudgetStatus{Total: 1000, Remaining: 750, MaxConcurrency: 5, Reserve: 10, Reset: now.Add(23*time.Hour + 59*time.Minute)},
		Pods:   pods(map[string]time.Duration{"web-1": 2 * time.Second, "web-2": time.Second, "web-3": 3 * time.Second}),
		Buckets: []gatewayqueue.BucketStatus{
			{Bucket: 0},
			{Bucket: 1, Closed: 2625 * time.Millisecond, Holder: "00001@web-1-00000001#7", Waiting: 2, Line: places("00006@web-2-00000002#1", "00011@web-3-00000003#2")},
			{Bucket: 2, Closed: 9 * time.Second, Holder: "00002@web-1-00000001#8", Permit: true, Waiting: 1, Line: places("00007@web-2-00000002#9")},
			{Bucket: 3, Closed: 5250 * time.Millisecond, Holder: "00003@a-pod-with-a-very-long-name-5d8f#1", Waiting: 1200, Line: places(
				"00008@web-2-00000002#2", "00013@web-2-00000002#3", "00018@web-2-00000002#4", "00023@web-3-00000003#5", "00028@web-3-00000003#6",
				"00033@web-3-00000003#7", "00038@web-3-00000003#8", "00043@web-1-00000001#9", "00048@web-1-00000001#10", "00053@web-1-00000001#11")},
			{Bucket: 4, Closed: 10 * time.Minute, Holder: "maintenance"},
		},
	}}
}

// past has what was seen in the last half minute.
func past() *history {
	h := &history{began: now.Add(-30 * time.Second), buckets: 5, pods: []string{"web-1-00000001", "web-2-00000002", "web-3-00000003"}}
	for i := range 9 {
		at := time.Duration(i)*3*time.Second + 2*time.Second
		h.marks = append(h.marks, picture.Mark{Shard: 15 + i, Bucket: i % 5, Pod: h.pods[i%3], At: at, Until: at + window})
	}
	h.marks = append(h.marks, picture.Mark{Shard: 1, Bucket: 1, Pod: h.pods[0], At: 27500 * time.Millisecond, Until: 32750 * time.Millisecond})
	return h
}

func screenOf(change func(*snapshot)) picture.Screen {
	s := busy()
	change(&s)
	return s.screen()
}

// Each file in testdata was looked at.
func TestScreen(t *testing.T) {
	dead := map[string]time.Duration{"web-1": 2 * time.Second, "web-2": -32 * time.Second, "web-3": 3 * time.Second, "web-4": -11 * time.Minute}
	for name, change := range map[string]func(*snapshot){
		"busy": func(*snapshot) {},
		"short": func(s *snapshot) {
			s.Budget.Remaining = 18
			s.Buckets[3].Waiting, s.Buckets[3].Line = 16, places("00008@web-2-00000002#2")
		},
		"held": func(s *snapshot) { s.Hold = 29500 * time.Millisecond },
		"paused": func(s *snapshot) {
			s.Pause = &gatewayqueue.PauseStatus{Since: now.Add(-14 * time.Minute), Until: now.Add(16 * time.Minute), Who: "alice@ops-1", Why: "Discord has an outage, and each IDENTIFY is one of the day"}
		},
		"dead": func(s *snapshot) { // a Status names nobody in line in the place of a dead pod
			s.Pods = pods(dead)
			s.Buckets[1].Holder = "00001@web-2-00000002#7"
			s.Buckets[1].Waiting, s.Buckets[1].Line = 1, places("00011@web-3-00000003#2")
			s.Buckets[2].Waiting, s.Buckets[2].Line = 0, nil
			s.Buckets[3].Waiting, s.Buckets[3].Line = 1, places("00023@web-3-00000003#5")
		},
		"unknown": func(s *snapshot) {
			*s = snapshot{From: s.From, Status: gatewayqueue.Status{App: s.App, Time: now, Budget: gatewayqueue.BudgetStatus{Unknown: true}}}
		},
		"source": func(s *snapshot) {
			s.Budget, s.Epoch, s.Buckets, s.Pods = gatewayqueue.BudgetStatus{Unknown: true}, "", nil, nil
			s.Source = gatewayqueue.SourceStatus{Error: "redisqueue: Discord refuses the bot token", After: now.Add(4 * time.Minute)}
		},
		"lost": func(s *snapshot) { s.Budget.Unknown, s.Hold, s.Replica = true, 8*time.Second, true },
		"never": func(s *snapshot) {
			s.Budget.Total, s.Budget.Remaining = 0, 0
			s.Budget.Never = "gatewayqueue: under these limits nothing is ever granted: the total is 0"
		},
		"backoff": func(s *snapshot) {
			s.Pods = nil
			s.Backoffs = map[int]time.Time{7: now.Add(20 * time.Minute)}
			for i := range s.Buckets {
				s.Buckets[i] = gatewayqueue.BucketStatus{Bucket: i}
			}
		},
		"server": func(s *snapshot) {
			s.App, s.Epoch, s.Server, s.From, s.Pods, s.Budget.Reserve = "", "", true, "http://queue:8080", nil, 0
			s.Buckets[1].Holder, s.Buckets[1].Line = "1@#7", places("6@#8", "11@#9")
		},
		"many": func(s *snapshot) {
			s.Buckets, s.Budget.MaxConcurrency = nil, 32
			for i := range 32 {
				b := gatewayqueue.BucketStatus{Bucket: i}
				if i%3 > 0 {
					ticket := fmt.Sprintf("%05d@web-1-00000001#%d", 32+i, i)
					b.Closed, b.Holder, b.Waiting, b.Line = time.Duration(i)*150*time.Millisecond, ticket, i%7, places(ticket)[:min(1, i%7)]
				}
				s.Buckets = append(s.Buckets, b)
			}
		},
	} {
		t.Run(name, func(t *testing.T) { goldentest.Screen(t, name, screenOf(change), picture.View{}) })
	}
	t.Run("watched", func(t *testing.T) {
		s := screenOf(func(*snapshot) {})
		s.Below = past().below(now)
		goldentest.Screen(t, "watched", s, picture.View{})
	})
	t.Run("sorted", func(t *testing.T) {
		goldentest.Screen(t, "sorted", screenOf(func(*snapshot) {}), picture.View{Sort: 1, Top: 1, Filter: "web", Paused: true})
	})
	t.Run("help", func(t *testing.T) {
		goldentest.Screen(t, "help", screenOf(func(*snapshot) {}), picture.View{Help: true})
	})
}

func TestHistory_MarksWhoHasIdentified(t *testing.T) {
	var h history
	s := busy().Status
	assert.Nil(t, h.below(now))
	h.see(s)
	assert.Len(t, h.marks, 3, "what somebody has closed by hand is no mark")
	h.see(picture.Later(s, time.Second))
	assert.Len(t, h.marks, 3, "the same tickets")
	s.Time = now.Add(3 * time.Second)
	s.Buckets[1].Holder, s.Buckets[1].Closed = "00006@web-2-00000002#1", 5*time.Second
	h.see(s)
	last := h.marks[len(h.marks)-1]
	assert.Equal(t, picture.Mark{Shard: 6, Bucket: 1, Pod: "web-2-00000002", At: 2750 * time.Millisecond, Until: 8 * time.Second}, last)
	s.Buckets = s.Buckets[:2]
	h.see(s)
	assert.Len(t, h.marks, 1, "other buckets: what was seen before is of others")
}

func TestHistory_NamesWhoHasSpentAUnitWhereNobodyHoldsTheBucket(t *testing.T) {
	var h history
	s := gatewayqueue.Status{Time: now, Buckets: []gatewayqueue.BucketStatus{{Bucket: 0}, {Bucket: 1}}, Spent: map[int]int{3: 1}}
	h.see(s)
	s.Time, s.Spent = now.Add(time.Second), map[int]int{3: 1, 5: 1}
	s.Buckets = []gatewayqueue.BucketStatus{{Bucket: 0}, {Bucket: 1, Closed: 4 * time.Second}}
	h.see(s)
	h.see(picture.Later(s, time.Second))
	assert.Equal(t, []picture.Mark{{Shard: 5, Bucket: 1, At: 0, Until: 5 * time.Second}}, h.marks)
}

// A style in a value would else be taken for one of the picture's own.
func TestScreen_HasNoStylesOfOthers(t *testing.T) {
	const foreign = "\x1b[8;35m"
	s := busy()
	s.App += foreign
	s.Pause = &gatewayqueue.PauseStatus{Who: foreign, Why: foreign}
	s.Source.Error, s.Store.Error, s.Store.Cure = foreign, foreign, foreign
	s.Pods[0].Pod += foreign
	s.Buckets[1].Holder, s.Buckets[1].Line[0].Ticket = "00001@"+foreign+"#1", "00006@"+foreign+"#1"
	s.Buckets[4].Holder = foreign
	var last seen
	last.take(s, nil)
	q := queues{all: []look.Queue{{App: foreign, Snapshot: look.Snapshot(s)}, {App: "b", Err: errors.New(foreign)}}}
	for _, screen := range []picture.Screen{last.screen(), q.screen()} {
		for _, width := range []int{0, 80, 200} {
			lines, _ := picture.Draw(screen, picture.View{}, width, 0)
			text := strings.Join(lines, "\n")
			assert.NotContains(t, text, foreign)
			assert.Contains(t, text, `\x1b[8;35m`)
		}
	}
}
