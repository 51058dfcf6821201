package simulation

// What Redis had to do, from the readings.

import (
	"slices"
	"time"
)

// evals are the commands that pods send.
var evals = []string{"evalsha", "eval"}

// least is how short a stretch of time may be to be called a minute.
const least = 30 * time.Second

// load is that between two marks.
func (f *fleet) load(from, to mark) Load {
	var l Load
	l.add(from, to)
	for i, m := range f.marks[1:] {
		if before := f.marks[i]; !before.At.Before(from.At) && !m.At.After(to.At) {
			l.peak(before, m)
		}
	}
	l.finish()
	return l
}

// rest is the load of all the time in which the fleet did not come up.
func (f *fleet) rest() Load {
	var l Load
	for i, m := range f.marks[1:] {
		before := f.marks[i]
		rising := slices.ContainsFunc(f.rises, func(r rise) bool { return before.At.Before(r.to.At) && m.At.After(r.from.At) })
		if !rising {
			l.add(before, m)
			l.peak(before, m)
		}
	}
	l.finish()
	return l
}

// add sums up: Rate, CPU and PerCall are sums until finish.
func (l *Load) add(from, to mark) {
	c := to.Since(from.Reading, evals)
	l.Time += c.Elapsed
	l.Identifies += to.turns - from.turns
	l.Rate += c.Calls
	l.CPU += c.CPU.Seconds()
	if l.Sent == nil {
		l.Sent = make(map[string]int)
	}
	for script, n := range to.sent {
		l.Sent[script] += n - from.sent[script]
	}
}

func (l *Load) peak(from, to mark) {
	c := to.Since(from.Reading, evals)
	if c.Elapsed >= least {
		l.Peak = max(l.Peak, c.Calls/c.Elapsed.Seconds())
		l.Worst = max(l.Worst, c.CPU.Seconds()/c.Elapsed.Seconds())
	}
}

func (l *Load) finish() {
	if l.Rate > 0 {
		l.PerCall = 1e6 * l.CPU / l.Rate
	}
	if s := l.Time.Seconds(); s > 0 {
		l.Rate, l.CPU = l.Rate/s, l.CPU/s
	}
}
