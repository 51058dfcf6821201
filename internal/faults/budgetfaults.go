package faults

// Faults of the budget: what Discord says of it, and when; other programs that
// spend; a gateway that nobody can reach.

import (
	"math/rand/v2"
	"sync"
	"time"
)

var budgetFaults = map[string]fault{
	"source late":       {do: sourceIs(late), servers: "server pair", anywhere: true, needsSource: true},
	"source refuses":    {do: sourceIs(refuses), servers: "server pair", anywhere: true, needsSource: true},
	"source incomplete": {do: sourceIs(incomplete), servers: "server pair", anywhere: true, needsSource: true},
	"total raised":      {do: raiseTotal, servers: "server pair", anywhere: true, needsSource: true, uncounted: true, once: true},
	"spent elsewhere":   {do: spendElsewhere, servers: "server pair", anywhere: true, needsSource: true, uncounted: true},
	"gateway down":      {do: gatewayDown, servers: "server pair", anywhere: true},
	"figures any time":  {do: figuresAnyTime, servers: "server pair", anywhere: true, needsSource: true, uncounted: true},
}

func late(*discord, *rand.Rand) mood { return mood{late: 0} }

func refuses(_ *discord, random *rand.Rand) mood { return mood{answer: refusing(random)} }

func incomplete(d *discord, random *rand.Rand) mood { return mood{answer: d.partial(random)} }

// sourceIs changes how the limit sources answer. A late one answers up to two
// windows after it has read the figure; and there are several refreshes, on order.
func sourceIs(how func(*discord, *rand.Rand) mood) func(*run, *rand.Rand, time.Duration) {
	return func(r *run, random *rand.Rand, length time.Duration) {
		for _, d := range r.discords {
			m := how(d, random)
			if m.answer == nil {
				m.late = time.Duration(random.Int64N(int64(max(length, 2*r.plan.Window))))
			}
			defer d.turn(m)()
		}
		time.Sleep(length)
	}
}

// raiseTotal raises Discord's total in the middle of a period.
func raiseTotal(r *run, random *rand.Rand, length time.Duration) {
	d := r.someDiscord(random)
	d.raise(1 + random.IntN(d.limit.Total))
	r.tellLimit(random, d)
	time.Sleep(length)
}

// spendElsewhere lets another program spend most of what is left, but for what
// our pods may take until they have heard of it.
func spendElsewhere(r *run, random *rand.Rand, length time.Duration) {
	d := r.someDiscord(random)
	slack := 4*d.limit.MaxConcurrency + r.plan.Reserve // else nothing may be granted before the reset
	if left := d.report().Remaining; left > slack+1 {
		units := 1 + random.IntN(left-slack)
		r.note("another program spends %d of %d", units, left)
		d.spent(clock(), units)
	}
	r.tellLimit(random, d)
	time.Sleep(length)
	r.tellLimit(random, d)
}

// figuresAnyTime reads figures at any moment, and pods are told them by hand, at
// once: an operator with a script.
func figuresAnyTime(r *run, random *rand.Rand, length time.Duration) {
	for end := time.Now().Add(length); time.Now().Before(end); {
		r.tellLimit(random, r.someDiscord(random))
		time.Sleep(time.Duration(random.IntN(200)) * time.Millisecond)
	}
}

// gatewayDown lets every dial fail: all permits are given back.
func gatewayDown(r *run, _ *rand.Rand, length time.Duration) {
	var all sync.WaitGroup
	for _, b := range r.fleet.berths {
		all.Go(func() { b.order("unreachable " + length.String()) })
	}
	all.Wait()
	time.Sleep(length)
}

// tellLimit lets a pod of that bot write what its Discord says now.
func (r *run) tellLimit(random *rand.Rand, d *discord) {
	b := r.someBerth(random)
	for range 10 * len(r.fleet.berths) {
		if b.discord == d {
			r.orderLimit(b, d.report())
			return
		}
		b = r.someBerth(random)
	}
}

func (r *run) someDiscord(random *rand.Rand) *discord {
	return r.discords[random.IntN(len(r.discords))]
}
