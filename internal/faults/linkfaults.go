package faults

// Faults on the way between pods and the server.

import (
	"math/rand/v2"
	"sync"
	"time"
)

var linkFaults = map[string]fault{
	"replies lost":             {do: onLinks(func(l *link, _ *rand.Rand) func() { return l.losing(0, 0.1, 0) }), servers: "server pair"},
	"replies lost in silence":  {do: onLinks(func(l *link, _ *rand.Rand) func() { return l.losing(0, 0.1, 1) }), servers: "server pair"},
	"requests lost":            {do: onLinks(func(l *link, _ *rand.Rand) func() { return l.losing(0.1, 0, 0) }), servers: "server pair"},
	"requests lost in silence": {do: onLinks(func(l *link, _ *rand.Rand) func() { return l.losing(0.1, 0, 1) }), servers: "server pair"},
	"half open":                {do: toxic("timeout", "downstream", nil), servers: "server pair"}, // executed, never answered
	"half open the other way":  {do: toxic("timeout", "upstream", nil), servers: "server pair"},
	"reset":                    {do: toxic("reset_peer", "downstream", nil), servers: "server pair"},
	"slow":                     {do: latency, servers: "server pair"},
	"a trickle":                {do: toxic("slicer", "downstream", map[string]any{"average_size": 8, "size_variation": 4, "delay": 3000}), servers: "server pair"},
	"stalled":                  {do: toxic("bandwidth", "upstream", map[string]any{"rate": 0}), servers: "server pair"}, // delivered once it is over
	"refused":                  {do: onLinks(func(l *link, _ *rand.Rand) func() { return l.refuse() }), servers: "server pair"},
}

// onLinks does something to the links of some pods or of all, and undoes it.
func onLinks(do func(*link, *rand.Rand) func()) func(*run, *rand.Rand, time.Duration) {
	return func(r *run, random *rand.Rand, length time.Duration) {
		all := random.IntN(2) == 0
		var undo sync.WaitGroup
		for _, b := range r.fleet.berths {
			if all || random.IntN(2) == 0 {
				end := do(b.link, random)
				undo.Go(func() {
					time.Sleep(length)
					end()
				})
			}
		}
		undo.Wait()
	}
}

func toxic(kind, stream string, attributes map[string]any) func(*run, *rand.Rand, time.Duration) {
	return onLinks(func(l *link, _ *rand.Rand) func() { return l.poisoned(kind, stream, attributes) })
}

func (l *link) poisoned(kind, stream string, attributes map[string]any) func() {
	end, err := l.poison(kind, stream, attributes)
	if err != nil {
		panic(err) // a toxic that does not exist
	}
	return end
}

// losing loses messages on top of what the plan loses all the time.
func (l *link) losing(requests, replies, mute float64) func() {
	old := [3]int64{l.lossy.requests.Load(), l.lossy.replies.Load(), l.lossy.mute.Load()}
	l.lossy.lose(requests, replies, mute)
	return func() {
		l.lossy.requests.Store(old[0])
		l.lossy.replies.Store(old[1])
		l.lossy.mute.Store(old[2])
	}
}

// latency makes replies and requests slow: up to three windows, and no two the
// same.
func latency(r *run, random *rand.Rand, length time.Duration) {
	onLinks(func(l *link, random *rand.Rand) func() {
		ms := random.Int64N(3 * r.plan.Window.Milliseconds() / 2)
		slow := func(stream string) func() {
			return l.poisoned("latency", stream, map[string]any{"latency": ms, "jitter": ms})
		}
		up, down := slow("upstream"), slow("downstream")
		return func() { up(); down() }
	})(r, random, length)
}
