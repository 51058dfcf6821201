package pod

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/elapsed"
	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/wire"
)

// world is a pod whose events are written down by hand: each test is a list of them.
type world struct {
	t    *testing.T
	pod  *Pod
	at   time.Time
	sent []Send // that are not answered yet
	seen []Command
}

const start = 1_700_000_000_000 // Redis's clock at the beginning, in ms

func newWorld(t *testing.T) *world {
	t.Helper()
	return &world{t: t, at: time.UnixMilli(start), pod: New(&Config{
		Timing: Timing{
			Window: gatewayqueue.IdentifyDelay, Margin: gatewayqueue.GrantMargin, PermitMargin: gatewayqueue.IdentifiedMargin,
			PermitLease: 2 * gatewayqueue.IdentifyDelay, PodLease: 3 * time.Second,
		},
		Name: "pod", App: "app", Keys: wire.KeysOf("app"), Limit: gatewayqueue.DefaultLimit(),
		Reserve: Reserve{Units: -1, Floor: func() int { return 0 }},
		Random:  func() float64 { return 0 }, NewEpoch: func() string { return "e1" },
		Advise: func(err error) error { return err },
	})}
}

func (w *world) step(e Event) []Command {
	commands := w.pod.Step(elapsed.At(w.at), e)
	for _, c := range commands {
		if s, ok := c.(Send); ok {
			w.sent = append(w.sent, s)
		}
	}
	w.seen = append(w.seen, commands...)
	return commands
}

func (w *world) later(d time.Duration) []Command {
	w.at = w.at.Add(d)
	return w.step(Tick{})
}

// answer answers the oldest call on its way, which is an R.
func answerTo[R wire.Request](w *world, raw []any, err error) (R, []Command) {
	w.t.Helper()
	for i, s := range w.sent {
		if request, ok := s.Request.(R); ok {
			w.sent = append(w.sent[:i:i], w.sent[i+1:]...)
			return request, w.step(Answered{To: s, Raw: any(raw), Err: err, Sent: elapsed.At(w.at)})
		}
	}
	var none R
	require.Failf(w.t, "not on its way", "a %T", none)
	return none, nil
}

func onItsWay[R wire.Request](w *world) int {
	n := 0
	for _, s := range w.sent {
		if _, ok := s.Request.(R); ok {
			n++
		}
	}
	return n
}

func (w *world) now() int64 { return w.at.UnixMilli() }

// meet lets the pod join a queue with one bucket.
func (w *world) meet() {
	w.t.Helper()
	answerTo[wire.Sync](w, []any{"ok", w.now(), "e1", int64(1), int64(1), int64(1000), int64(900), w.now() + 3_600_000, int64(0), ""}, nil)
}

func (w *world) claimed(code string, wait time.Duration, ahead int) []any {
	ms := wait.Milliseconds()
	return []any{
		code, w.now(), ms, int64(ahead), int64(899), int64(2), "", int64(0), ms, w.now() + 3_600_000, "",
		int64(5000), int64(5000), int64(0),
	}
}

func of[C Command](commands []Command) (found []C) {
	for _, c := range commands {
		if is, ok := c.(C); ok {
			found = append(found, is)
		}
	}
	return found
}

func (w *world) waiter(shard int) *Waiter { return &Waiter{Shard: shard, Since: w.at} }

// met is a pod with one waiter whose claim is on its way.
func met(t *testing.T, permit bool) (*world, *Waiter) {
	t.Helper()
	w := newWorld(t)
	first := w.waiter(0)
	first.Permit = permit
	w.step(Join{first})
	require.Equal(t, 1, onItsWay[wire.Sync](w))
	w.meet()
	require.Equal(t, 1, onItsWay[wire.Claim](w))
	return w, first
}

// What can happen to a waiter whose claim is on its way, in each order.
func TestWaiter_OneOutcomeInEveryOrder(t *testing.T) {
	granted := func(w *world) { answerTo[wire.Claim](w, w.claimed("granted", 5*time.Second, 0), nil) }
	waits := func(w *world) { answerTo[wire.Claim](w, w.claimed("wait", 5*time.Second, 0), nil) }
	fails := func(w *world) { answerTo[wire.Claim](w, nil, errors.New("EOF")) }
	for name, row := range map[string]struct {
		events   []func(*world, *Waiter)
		outcomes int  // that its caller is told
		gives    bool // its ticket is given up
	}{
		"it is granted": {outcomes: 1, events: []func(*world, *Waiter){func(w *world, _ *Waiter) { granted(w) }}},
		"it leaves, and its claim is granted": {outcomes: 1, gives: true, events: []func(*world, *Waiter){
			func(w *world, first *Waiter) { w.step(Leave{first}) },
			func(w *world, _ *Waiter) { granted(w) },
		}},
		"it leaves, and its claim fails": {outcomes: 1, gives: true, events: []func(*world, *Waiter){
			func(w *world, first *Waiter) { w.step(Leave{first}) },
			func(w *world, _ *Waiter) { fails(w) },
			func(w *world, _ *Waiter) { w.later(time.Second) },
		}},
		"it leaves in the instant of its grant": {outcomes: 2, gives: true, events: []func(*world, *Waiter){
			func(w *world, _ *Waiter) { granted(w) },
			func(w *world, first *Waiter) { w.step(Leave{first}) },
		}},
		"it waits, then leaves": {outcomes: 1, gives: true, events: []func(*world, *Waiter){
			func(w *world, _ *Waiter) { waits(w) },
			func(w *world, first *Waiter) { w.step(Leave{first}) },
		}},
		"the queue closes, and its claim is granted": {outcomes: 1, gives: true, events: []func(*world, *Waiter){
			func(w *world, _ *Waiter) { w.step(Close{}) },
			func(w *world, _ *Waiter) { granted(w) },
			func(w *world, _ *Waiter) { answerTo[wire.Abandon](w, []any{"ok", int64(0)}, nil) }, // the pod's lease
		}},
		"it leaves twice": {outcomes: 1, gives: true, events: []func(*world, *Waiter){
			func(w *world, _ *Waiter) { waits(w) },
			func(w *world, first *Waiter) { w.step(Leave{first}) },
			func(w *world, first *Waiter) { w.step(Leave{first}) },
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w, first := met(t, false)
			for _, event := range row.events {
				event(w, first)
			}
			assert.Equal(t, row.outcomes, len(of[Granted](w.seen))+len(of[Refused](w.seen)))
			gives := 0
			for _, s := range of[Send](w.seen) {
				if a, ok := s.Request.(wire.Abandon); ok && len(a.Tickets) == 1 && a.Tickets[0] == first.ticket {
					gives++
				}
			}
			if row.gives {
				assert.Equal(t, 1, gives, "its ticket is given up once")
			} else {
				assert.Zero(t, gives)
			}
		})
	}
}

// A ticket that is given up must not overtake its own claim, which would put it back.
func TestWaiter_ATicketIsGivenUpOnceItsClaimWasAnswered(t *testing.T) {
	w, first := met(t, false)
	w.step(Leave{first})
	assert.Zero(t, onItsWay[wire.Abandon](w))
	answerTo[wire.Claim](w, w.claimed("wait", 5*time.Second, 0), nil)
	assert.Equal(t, 1, onItsWay[wire.Abandon](w))
}

func TestLine_AsksWhenTheBucketOpens(t *testing.T) {
	w, _ := met(t, false)
	answerTo[wire.Claim](w, w.claimed("wait", 1200*time.Millisecond, 0), nil)
	w.later(1199 * time.Millisecond)
	assert.Zero(t, onItsWay[wire.Claim](w))
	w.later(time.Millisecond)
	assert.Equal(t, 1, onItsWay[wire.Claim](w))
}

// With 5 ms there and back a claim leaves 4.8 ms before its bucket opens.
func TestLine_AClaimLeavesEarlierByTheWay(t *testing.T) {
	w, _ := met(t, false)
	s := w.sent[0]
	w.sent = nil
	sent := w.at
	w.at = w.at.Add(5 * time.Millisecond)
	w.pod.way = 0
	w.step(Answered{To: s, Raw: any(w.claimed("wait", time.Second, 0)), Sent: elapsed.At(sent)})
	assert.Equal(t, w.at.Add(time.Second-5*time.Millisecond+leastLead), w.pod.Next())
}

func TestLine_ClaimsThatAreDueTogetherAreOfOneStep(t *testing.T) {
	w := newWorld(t)
	for shard := range 16 {
		w.step(Join{w.waiter(shard)})
	}
	answerTo[wire.Sync](w, []any{"ok", w.now(), "e1", int64(1), int64(16), int64(1000), int64(900), w.now() + 3_600_000, w.now() + 2000, ""}, nil)
	beat, _ := answerTo[wire.Beat](w, w.stand(16, 2*time.Second), nil)
	require.Len(t, beat.Lines, 16)
	w.later(1500 * time.Millisecond)
	answerTo[wire.Beat](w, w.stand(16, 500*time.Millisecond), nil)
	assert.Len(t, of[Send](w.later(500*time.Millisecond)), 16)
}

// stand is the answer to a beat about so many lines.
func (w *world) stand(lines int, wait time.Duration) []any {
	raw := []any{"ok", w.now(), int64(900), int64(2), w.now() + 3_600_000, int64(0), "", int64(0), "", "", "", "", ""}
	for range lines {
		raw = append(raw, wait.Milliseconds(), int64(0))
	}
	return raw
}

func TestPermit_OneReportInEveryOrder(t *testing.T) {
	settle := func(w *world, p *Permit, identified bool) *Op {
		op := &Op{}
		w.step(Settle{Op: op, Permit: p, Identified: identified})
		return op
	}
	t.Run("identified, then abandoned", func(t *testing.T) {
		w, p := withPermit(t)
		settle(w, p, true)
		second := settle(w, p, false)
		assert.True(t, second.over, "it is harmless")
		assert.Equal(t, 1, onItsWay[wire.Identified](w))
		assert.Zero(t, onItsWay[wire.Abandon](w))
	})
	t.Run("its renewal is answered after it was identified", func(t *testing.T) {
		w, p := withPermit(t)
		w.later(w.pod.cfg.renewEvery())
		require.Equal(t, 1, onItsWay[wire.Renew](w))
		settle(w, p, true)
		answerTo[wire.Renew](w, []any{"gone", w.now(), int64(3)}, nil)
		expired := 0
		for _, o := range of[Observe](w.seen) {
			if o.Event.Kind == gatewayqueue.EventExpired {
				expired++
			}
		}
		assert.Zero(t, expired)
	})
	t.Run("announced, answered, identified", func(t *testing.T) {
		w, p := withPermit(t)
		op := &Op{}
		w.step(Announce{Op: op, Permit: p})
		answerTo[wire.Identified](w, []any{"ok", w.now(), int64(3)}, nil)
		require.True(t, op.over)
		settle(w, p, true)
		assert.Zero(t, onItsWay[wire.Identified](w), "the window that began with the announcement is its own")
	})
	t.Run("announced, not answered, abandoned", func(t *testing.T) {
		w, p := withPermit(t)
		op := &Op{}
		w.step(Announce{Op: op, Permit: p})
		done := of[Done](w.later(AnnounceTimeout))
		require.Len(t, done, 1)
		require.ErrorIs(t, done[0].Err, gatewayqueue.ErrPermitExpired)
		answerTo[wire.Identified](w, []any{"ok", w.now(), int64(3)}, nil)
		settle(w, p, false)
		assert.Equal(t, 1, onItsWay[wire.Abandon](w))
	})
	t.Run("identified, not answered, then Redis is back", func(t *testing.T) {
		w, p := withPermit(t)
		op := settle(w, p, true)
		for range 3 {
			answerTo[wire.Identified](w, nil, errors.New("EOF"))
			require.False(t, op.over)
			w.later(time.Second)
		}
		answerTo[wire.Identified](w, []any{"ok", w.now(), int64(3)}, nil)
		assert.True(t, op.over)
	})
}

func withPermit(t *testing.T) (*world, *Permit) {
	t.Helper()
	w, _ := met(t, true)
	_, commands := answerTo[wire.Claim](w, w.claimed("granted", 10*time.Second, 0), nil)
	require.Len(t, of[Granted](commands), 1)
	return w, of[Granted](commands)[0].Grant.Permit
}

// An answer that comes late for its caller is of a ticket that has paid: it is
// claimed again, with a longer window.
func TestWaiter_ALateGrantIsClaimedAgain(t *testing.T) {
	w, first := met(t, false)
	answerTo[wire.Claim](w, w.claimed("granted", 5250*time.Millisecond, 0), nil)
	w.step(Late{first, 300 * time.Millisecond})
	again, _ := answerTo[wire.Claim](w, w.claimed("granted", 5450*time.Millisecond, 0), nil)
	assert.Equal(t, first.ticket, again.Ticket)
	assert.Equal(t, 5450*time.Millisecond, again.Closes)
	assert.Len(t, of[Granted](w.seen), 2)
}

// A server that does not know the script may have lost grants: it is told to close.
func TestClaim_AnUnknownScriptIsToldOf(t *testing.T) {
	w, _ := met(t, false)
	noScript := errors.New("NOSCRIPT no such script")
	first, _ := answerTo[wire.Claim](w, nil, redisError{noScript})
	assert.False(t, first.Notice)
	require.True(t, w.sent[0].Whole)
	second, _ := answerTo[wire.Claim](w, nil, errors.New("EOF"))
	assert.True(t, second.Notice)
	w.later(time.Second)
	third, _ := answerTo[wire.Claim](w, w.claimed("wait", time.Second, 0), nil)
	assert.True(t, third.Notice, "until one was answered")
	w.later(time.Second)
	fourth, _ := answerTo[wire.Claim](w, w.claimed("wait", time.Second, 0), nil)
	assert.False(t, fourth.Notice)
}

type redisError struct{ error }

func (redisError) RedisError() {}

// The same events at the same moments give the same commands.
func TestPod_IsDeterministic(t *testing.T) {
	run := func() (seen []string) {
		w := newWorld(t)
		for shard := range 40 {
			w.step(Join{w.waiter(shard)})
		}
		answerTo[wire.Sync](w, []any{"ok", w.now(), "e1", int64(1), int64(16), int64(1000), int64(900), w.now() + 3_600_000, int64(0), ""}, nil)
		for range 200 {
			w.later(137 * time.Millisecond)
			if len(w.sent) > 0 {
				s := w.sent[0]
				w.sent = w.sent[1:]
				w.step(Answered{To: s, Err: errors.New("EOF"), Sent: elapsed.At(w.at)})
			}
		}
		for _, c := range of[Send](w.seen) {
			call := c.Request.Encode(w.pod.cfg.Keys)
			seen = append(seen, call.Script.Name)
			seen = append(seen, call.Keys...)
		}
		return seen
	}
	first, second := run(), run()
	assert.Equal(t, first, second)
}

// Callers that come and go between two beats are a pod that waits: its beats go on, and
// with them the refresh of its limits.
func TestBeat_GoesOnWhereCallersComeAndGo(t *testing.T) {
	w, first := met(t, false)
	answerTo[wire.Claim](w, w.claimed("wait", time.Hour, 5), nil)
	for range 20 {
		w.later(60 * time.Millisecond)
		w.step(Leave{first})
		for onItsWay[wire.Abandon](w) > 0 {
			answerTo[wire.Abandon](w, []any{"ok", int64(0)}, nil)
		}
		w.later(40 * time.Millisecond)
		first = w.waiter(0)
		w.step(Join{first})
		answerTo[wire.Claim](w, w.claimed("wait", time.Hour, 5), nil)
		if onItsWay[wire.Beat](w) > 0 {
			return
		}
	}
	t.Fatal("no beat in 2 s")
}
