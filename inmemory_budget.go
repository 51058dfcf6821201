// The in-memory queue's budget: units per period.

package gatewayqueue

import "time"

type budget struct {
	total     int
	remaining int
	reset     time.Time   // end of the period; zero while none has begun
	period    int         // counts refills and updates, from 1
	lent      int         // units of this period in permits that may still give them back
	spent     map[int]int // units of this period by shard
}

func (b *budget) set(limit SessionStartLimit, now time.Time) {
	b.total, b.remaining = limit.Total, limit.Remaining
	b.reset = time.Time{}
	if period := limit.Period(); period > 0 {
		b.reset = now.Add(period)
	}
	// What was lent is not in the new figures, so it must not come back.
	b.period++
	b.lent = 0
}

// refill begins a new period once the old one has ended.
func (b *budget) refill(now time.Time) bool {
	if b.reset.IsZero() || now.Before(b.reset) {
		return false
	}
	b.remaining, b.reset = b.total, time.Time{}
	b.period++
	b.lent = 0
	clear(b.spent)
	return true
}

func (b *budget) take(t *ticket, now time.Time) {
	if b.reset.IsZero() {
		b.reset = now.Add(LimitPeriod)
	}
	b.remaining--
	b.spent[t.shard]++
	t.period = b.period
	if t.permit {
		b.lent++
	}
}

// settle ends the loan of a permit, if it was one.
func (b *budget) settle(t *ticket) {
	if t.permit && !t.expired && t.period == b.period {
		b.lent--
	}
}

// giveBack returns the unit that t paid, unless it was one of an earlier period.
func (b *budget) giveBack(t *ticket) {
	if t.period != b.period {
		return
	}
	b.remaining++
	if b.spent[t.shard]--; b.spent[t.shard] <= 0 {
		delete(b.spent, t.shard)
	}
	if b.remaining == b.total {
		b.reset = time.Time{} // nothing was spent: no period has begun
	}
}

// exhaustedUntil is when the budget has units again, and whether that is
// certain: a permit that is out may be abandoned, and a total of 0 waits for an
// update.
func (b *budget) exhaustedUntil() (time.Time, bool) {
	return b.reset, b.remaining == 0 && b.lent == 0 && !b.reset.IsZero()
}

func (b *budget) event() Event {
	return Event{Kind: EventBudget, Remaining: b.remaining, Total: b.total}
}
