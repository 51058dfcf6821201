package sim

import "strings"

// Mutant is a rule that is broken by other text in one place: of a script, or of package
// pod, for which the program is built once more (scripts/sim --mutants).
type Mutant struct {
	Name     string
	File     string // of package pod; "" for a script
	Old, New string
	Quick    bool // it takes few schedules to find

	sources map[string]string // scripts as they were, and with this text
}

// applied is a script with the mutant's text; m may be nil.
func (m *Mutant) applied(source string) string {
	if m == nil || m.File != "" {
		return source
	}
	if m.sources == nil {
		m.sources = make(map[string]string)
	}
	changed, is := m.sources[source]
	if !is {
		changed = strings.Replace(source, m.Old, m.New, 1)
		m.sources[source] = changed
	}
	return changed
}

// Mutants are rules of the protocol, each broken once. A search that finds nothing there
// would be worth nothing here.
var Mutants = []Mutant{
	// Exactly once.
	{Name: "nothing says that a ticket has paid", Old: "is_over(limits), redis.call('GET', paid_key)\nif not up_to", New: "is_over(limits), false\nif not up_to", Quick: true},
	{Name: "a ticket pays at each claim", Old: "if not paid then left, spent = pay", New: "if true then left, spent = pay", Quick: true},
	{Name: "a late copy of a claim is granted", Old: "if settled(was_paid) then return reply('gone', 0) end", New: ""},
	{Name: "what is given back twice counts twice", Old: "left + units < total and ours", New: "left + units < total"},
	{Name: "a caller that left keeps its ticket", File: "waiter.go", Old: "w.calls == 0 && w.stage == gone", New: "w.calls < 0"},
	{Name: "a grant that nobody takes is kept", File: "waiter.go", Old: "		w.stage = gone\n		p.giveBack(w)\n		p.do(Refused{Waiter: w})", New: "		w.stage = gone\n		p.do(Refused{Waiter: w})"},

	// The window.
	{Name: "a claim that is sent again gets no new window", Old: "if lasts == closes then close_bucket", New: "if not (paid and mine) then close_bucket", Quick: true},
	{Name: "a late copy of a claim ends its slot sooner", Old: "math.max(closes, paid and mine and slot.opens - exact or 0)", New: "closes"},
	{Name: "abandon opens the bucket, whichever ticket has it", Old: "redis.call('GET', paid_key), is_of(slot, ticket)\n  redis", New: "redis.call('GET', paid_key), true\n  redis"},
	{Name: "a bucket is open while it is closed", Old: "local mine, pause = is_of(slot.holder, ticket)", New: "slot.opens = 0 local mine, pause = is_of(slot.holder, ticket)", Quick: true},
	{Name: "the slot is the only witness", Old: "redis.call('HGET', opens_key, bucket)\n  local opens", New: "false\n  local opens"},
	{Name: "nobody misses both witnesses", Old: "if limits.granted and slot.unseen then", New: "if false then"},
	{Name: "a hold holds nobody", Old: "shut = math.max(slot.opens - exact, limits.closed_until - exact, until_wanted)", New: "shut = math.max(slot.opens - exact, until_wanted)", Quick: true},
	{Name: "a loss of state closes for a window only", Old: "new and 0 or now + lost_hold)", New: "new and 0 or now + 5250)"},
	{Name: "another server is the same", Old: "lost = word ~= 'same' and string.sub(word, 1, 5) ~= 'blind'", New: "lost = false"},
	{Name: "a deadline counts from the answer", File: "command.go", Old: "sent: a.Sent, acked", New: "sent: p.now, acked"},
	{Name: "a grant is never late", File: "timing.go", Old: "	if g.Permit != nil {\n		return after", New: "	if after > 0 {\n		return false\n	}\n	if g.Permit != nil {\n		return after"},
	{Name: "a ticket that came back gives up more than its place", File: "line.go", Old: "Tickets: l.orphans, PlacesOnly: true", New: "Tickets: l.orphans"},

	// New limits.
	{Name: "new buckets are open before the old ones", Old: "limits.closed_until = math.max(limits.closed_until, slot and slot.opens or now + lost_hold)", New: ""},
	{Name: "a permit of old limits is renewed in its bucket only", Old: "limits.max_concurrency ~= granted_buckets and limits.hold_known then close_all", New: "false then close_all"},

	// The budget.
	{Name: "there is no reserve", Old: "local units, paid = math.min(left, limits.total) > reserve,", New: "local units, paid = left > 0,"},
	{Name: "spent is no witness", Old: "for i = 2, #spent, 2 do total = math.max", New: "for i = 2, 0, 2 do total = math.max"},
	{Name: "a pod's memory does not count", Old: "if known_left and known_reset > now", New: "if false and known_reset > now"},
	{Name: "nothing is left for nobody", Old: "local units, paid = math.min(left, limits.total) > reserve,", New: "local units, paid = true,", Quick: true},

	{Name: "an update by hand counts each time it comes", Old: "if by_hand and again then", New: "if false then"},

	// The line.
	{Name: "the slot is for the first who asks", Old: "granted = able and head == ticket", New: "granted = able", Quick: true},
	{Name: "the dead keep their places", Old: "return leases[pod] >= now", New: "return true", Quick: true},
	{Name: "a pause holds nobody", Old: "local able, granted = not pause and shut", New: "pause = false local able, granted = shut"},
	{Name: "nobody gives up a lost reply", File: "line.go", Old: "	l.ask = p.now.Time().Add(p.backoff(err, l.failures))", New: "	l.ask = p.now.Time().Add(never)"},
}
