package redisqueue

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/lua"
)

var (
	claimScript      = redis.NewScript(lua.Claim)
	identifiedScript = redis.NewScript(lua.Identified)
	renewScript      = redis.NewScript(lua.Renew)
	renewManyScript  = redis.NewScript(lua.RenewMany)
	abandonScript    = redis.NewScript(lua.Abandon)
	beatScript       = redis.NewScript(lua.Beat)
	syncScript       = redis.NewScript(lua.Sync)
	statusScript     = redis.NewScript(lua.Status)
	readyScript      = redis.NewScript(lua.Ready)
	postponeScript   = redis.NewScript(lua.Postpone)
	rememberScript   = redis.NewScript(lua.Remember)
)

// paidTTL is how long Redis remembers what became of a ticket that has left. It
// must outlast every re-sending of a call by the client. That a ticket was
// granted, or has identified, is remembered until the reset.
const paidTTL = time.Minute

// goesOn stands for paidTTL where a ticket leaves whose wait may have others.
const goesOn = -time.Millisecond

// callTimeout bounds one call, for clients with ContextTimeoutEnabled; others
// go by their ReadTimeout.
const callTimeout = 5 * time.Second

// store sends the scripts. It knows their arguments and replies, and nothing of
// who waits.
type store struct {
	client   redis.Scripter
	keys     keys
	config   *config
	calls    lane
	reports  lane         // and renewals
	replicas atomic.Int64 // that must acknowledge a grant: the most of all pods, as last heard
	unknown  atomic.Bool  // the server did not know the claim, and has not been told to close yet
}

func newStore(client redis.Scripter, c *config) *store {
	s := &store{
		client: client, config: c, keys: keysOf(c.app),
		calls: make(lane, callsAtATime), reports: make(lane, reportsAtATime),
	}
	s.replicas.Store(int64(c.replicas))
	return s
}

// lane lets a few calls at a time to Redis. When the windows of many buckets end
// together, a pod has many to make at once. While Redis answers quickly it makes
// them over the few connections that it has: to dial for all would take longer,
// and cost Redis more.
type lane chan struct{}

const laneBound = 10 * time.Millisecond // who has waited so long for its turn dials

// A pod has two lanes: reports and renewals of permits do not wait for other
// calls, for until IDENTIFY is reported its bucket's window has not begun.
const (
	callsAtATime   = 2
	reportsAtATime = 1
)

// enter waits until a call may be made. Whoever has made it calls leave.
func (l lane) enter() (leave func()) {
	select {
	case l <- struct{}{}:
		return func() { <-l }
	default:
	}
	bound := time.NewTimer(laneBound)
	defer bound.Stop()
	select {
	case l <- struct{}{}:
		return func() { <-l }
	case <-bound.C:
		return func() {}
	}
}

// run sends a script by its hash, and whole if the server does not know it.
func (s *store) run(ctx context.Context, script *redis.Script, keys []string, args ...any) *reply {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	raw, err := script.Run(ctx, s.client, keys, args...).Result()
	return newReply(raw, s.moving(err))
}

// call is what a script is run on.
type call struct {
	keys []string
	args []any
}

// runMany runs a script on several calls, in one if there are several. It returns
// the list of their replies, and where that matters how many replicas have them.
func (s *store) runMany(ctx context.Context, one, many *redis.Script, calls []call) (list *reply, acked int) {
	script, keys, args := one, calls[0].keys, calls[0].args
	if len(calls) > 1 {
		script, keys, args = many, nil, []any{len(calls)}
		for _, c := range calls {
			args = append(args, len(c.keys), len(c.args))
			keys = append(keys, c.keys...)
		}
		for _, c := range calls {
			args = append(args, c.args...)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	raw, acked, err := s.eval(ctx, false, script, keys, args)
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		raw, acked, err = s.eval(ctx, true, script, keys, args)
	}
	list = newReply(raw, s.moving(err))
	if len(calls) == 1 && list.err == nil {
		list = &reply{values: []any{list.values}}
	}
	return list, acked
}

// moving is err, but that of a redirection that a cluster's client gave up to
// follow: while slots move, nodes send it to and fro. Any other client that is
// redirected is the wrong one.
func (s *store) moving(err error) error {
	_, cluster := s.client.(*redis.ClusterClient)
	if cluster && (redis.HasErrorPrefix(err, "MOVED") || redis.HasErrorPrefix(err, "ASK")) {
		return errMoving
	}
	return err
}

// errMoving is TRYAGAIN, which a node says itself when it has but some of the keys.
var errMoving = errors.New("TRYAGAIN the cluster moves the keys to another node")

// view is what a pod knows of the limits and state in force.
type view struct {
	epoch          string
	seq            int64
	maxConcurrency int // 0 before the first contact
	total          int
	remaining      int
	reset          int64 // ms on Redis's clock; 0 while no period has begun
}

// place is a ticket that takes its place in a line.
type place struct {
	ticket  string
	arrival int64 // ms on Redis's clock; 0 is now
}

func (p place) score() string {
	if p.arrival == 0 {
		return ""
	}
	return strconv.FormatInt(p.arrival, 10)
}

type claimCall struct {
	place
	shard, bucket int
	view          view
	permit        bool
	closes        time.Duration // for how long a grant closes the bucket
	hold, lease   time.Duration
	breaker       int
	asks          bool   // a limit source can be asked when a period is over
	next          string // the pod's next ticket in this line
	others        []place
}

type claimReply struct {
	code   string
	now    int64
	wait   time.Duration
	ahead  int
	left   int
	seq    int64
	head   string
	back   bool // the ticket had lost its place, and has it again
	more   bool // of a grant: there are more tickets to remove before the pod's next
	shut   time.Duration
	reset  int64
	server identity
	window time.Duration // in force
	hold   time.Duration // after a loss of state, by all pods

	replicas int // that must acknowledge a grant of any pod
}

func (s *store) claim(ctx context.Context, c claimCall) (claimReply, error) {
	mode := "wait"
	if c.permit {
		mode = "permit"
	}
	keys := []string{
		s.keys.slot(c.bucket), s.keys.remaining(), s.keys.queue(c.bucket), s.keys.limits(),
		s.keys.spent(), s.keys.pods(), s.keys.opens(), s.keys.paid(c.ticket), s.keys.rests(), s.keys.holds(), s.keys.out(),
	}
	usable := c.closes - s.config.window
	if c.permit {
		usable = s.config.permitGood()
	}
	const notice = 17 // its place in args
	args := []any{
		c.ticket, c.score(), c.shard, c.bucket, s.config.pod, ms(c.lease),
		c.view.maxConcurrency, c.view.epoch, c.view.seq, mode, ms(c.closes), ms(c.hold), ms(s.config.step(c.permit)),
		s.config.reserveOf(c.view), ms(gatewayqueue.LimitPeriod), ms(paidTTL), c.next, 0, c.breaker,
		ms(s.config.window), ms(s.config.grace()), ms(s.config.podLease),
		ms(usable), flag(c.asks), s.config.leastReserveOf(c.view), c.view.total, s.config.replicas,
	}
	for _, p := range c.others {
		args = append(args, p.score(), p.ticket)
	}
	defer s.calls.enter()()
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	noticed := s.unknown.Load()
	if noticed {
		args[notice] = 1
	}
	raw, acked, err := s.eval(ctx, false, claimScript, keys, args)
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		// Where scripts are not told who the server is, that is all there is to
		// show that it may have been restarted, or be a replica that was
		// promoted without the last grants. It knows the script from now on,
		// even if it can't write yet.
		s.unknown.Store(true)
		noticed, args[notice] = true, 1
		raw, acked, err = s.eval(ctx, true, claimScript, keys, args)
	}
	r := newReply(raw, s.moving(err))
	reply := claimReply{
		code: r.text(), now: r.int64(), wait: r.span(), ahead: r.int(), left: r.int(), seq: r.int64(),
		head: r.text(),
	}
	back := r.int()
	reply.back, reply.more = back == 1, back == 2
	reply.shut, reply.reset, reply.server, reply.window = r.duration(), r.int64(), identity(r.text()), r.duration()
	reply.hold, reply.replicas = reply.window+r.duration(), r.int()
	if r.done() == nil && noticed { // else a call beside this one has yet to tell the server
		s.unknown.Store(false)
	}
	if r.done() != nil {
		return claimReply{}, r.done()
	}
	s.replicas.Store(int64(reply.replicas))
	if reply.code == "granted" {
		return reply, s.acknowledged(acked)
	}
	return reply, nil
}

// settled is the reply of identified and renew.
type settled struct {
	code string
	now  int64
	seq  int64
}

func (s *store) identified(ctx context.Context, p *permit) (settled, error) {
	return s.settle(ctx, p, s.config.step(true)+p.within, 0, ms(p.within))
}

// announce says for the nth time that IDENTIFY is about to leave, within usable
// of the sending of this call.
func (s *store) announce(ctx context.Context, p *permit, nth int, usable time.Duration) (settled, error) {
	closes := s.config.window + s.config.permitMargin - s.config.announced() + usable
	return s.settle(ctx, p, closes, nth, ms(usable))
}

// renewal is a permit to be renewed.
type renewal struct {
	permit *permit
	good   time.Duration // for how long it shall then be good
	inTime bool          // its deadline has not passed, so that nobody else can have had the bucket
}

// renew closes the permits' buckets for longer.
func (s *store) renew(ctx context.Context, renewals []renewal) ([]settled, error) {
	calls := make([]call, len(renewals))
	for i, r := range renewals {
		tail := s.config.permitLease - s.config.permitGood() // it is not for the holder
		latest := r.permit.grantedAt + (gatewayqueue.PermitBound + tail).Milliseconds()
		calls[i] = s.settleCall(r.permit, tail+r.good,
			flag(r.inTime), latest, ms(s.config.window), ms(r.good), ms(gatewayqueue.LimitPeriod))
	}
	defer s.reports.enter()()
	list, acked := s.runMany(ctx, renewScript, renewManyScript, calls)
	replies := make([]settled, len(renewals))
	for i := range replies {
		r := list.list()
		replies[i] = settled{code: r.text(), now: r.int64(), seq: r.int64()}
		if err := r.done(); err != nil {
			return nil, err
		}
	}
	if err := list.done(); err != nil {
		return nil, err
	}
	return replies, s.acknowledged(acked) // of what is identified the successor's hold takes care
}

func (s *store) settle(ctx context.Context, p *permit, closes time.Duration, more ...any) (settled, error) {
	c := s.settleCall(p, closes, append([]any{ms(s.config.window), ms(gatewayqueue.LimitPeriod)}, more...)...)
	defer s.reports.enter()()
	r := s.run(ctx, identifiedScript, c.keys, c.args...)
	reply := settled{code: r.text(), now: r.int64(), seq: r.int64()}
	return reply, r.done()
}

func (s *store) settleCall(p *permit, closes time.Duration, more ...any) call {
	return call{
		keys: []string{
			s.keys.slot(p.bucket), s.keys.limits(), s.keys.opens(), s.keys.paid(p.ticket),
			s.keys.remaining(), s.keys.spent(), s.keys.out(),
		},
		args: append([]any{p.ticket, p.bucket, ms(closes), p.maxConcurrency, ms(paidTTL)}, more...),
	}
}

// abandon gives up the tickets' places, slot and units; pod is not empty if the
// pod leaves with them.
func (s *store) abandon(ctx context.Context, bucket int, pod string, tickets ...string) error {
	var own, goOn, before []string // those whose wait may have others, or had a grant before
	for _, t := range tickets {
		switch wait, granted := waitOf(t); {
		case wait == "":
			own = append(own, t)
		case granted: // what it was granted was paid for an earlier one: it lapses
			before = append(before, t)
		default:
			goOn = append(goOn, t)
		}
	}
	if len(before) > 0 {
		if err := s.forget(ctx, bucket, before...); err != nil {
			return err
		}
	}
	if len(goOn) > 0 {
		if err := s.giveUp(ctx, bucket, goesOn, "", goOn); err != nil {
			return err
		}
	}
	if len(own) == 0 && pod == "" {
		return nil
	}
	return s.giveUp(ctx, bucket, paidTTL, pod, own)
}

// end gives up a permit's slot and unit, and its wait with it.
func (s *store) end(ctx context.Context, p *permit) error {
	return s.giveUp(ctx, p.bucket, paidTTL, "", []string{p.ticket})
}

// settled says whether a permit was reported, as far as that is remembered.
func (s *store) settled(ctx context.Context, p *permit) (bool, error) {
	how, err := s.reported(ctx, p)
	return how == "left" || how == "identified", err
}

// reported says how a permit was: left or identified, or neither.
func (s *store) reported(ctx context.Context, p *permit) (string, error) {
	paid, _, err := s.remember(ctx, s.keys.paid(p.ticket), "", 0, false)
	return paid, err
}

// remember keeps a value, unless it is empty, and says which is in force and for
// how long it is kept yet.
func (s *store) remember(ctx context.Context, key, value string, keep time.Duration, replace bool) (string, time.Duration, error) {
	which := "first"
	if replace {
		which = "last"
	}
	defer s.calls.enter()()
	r := s.run(ctx, rememberScript, []string{key}, value, ms(keep), which)
	known, left := r.text(), r.int64()
	return known, time.Duration(left) * time.Millisecond, r.done()
}

// forget gives up the tickets' places only.
func (s *store) forget(ctx context.Context, bucket int, tickets ...string) error {
	return s.giveUp(ctx, bucket, 0, "", tickets)
}

func (s *store) giveUp(ctx context.Context, bucket int, ttl time.Duration, pod string, tickets []string) error {
	keys := []string{
		s.keys.slot(bucket), s.keys.remaining(), s.keys.queue(bucket), s.keys.limits(),
		s.keys.spent(), s.keys.opens(), s.keys.pods(), s.keys.out(), s.keys.rests(),
	}
	args := []any{bucket, ms(ttl), pod}
	if ttl == goesOn {
		args[1] = -1
	}
	for _, t := range tickets {
		keys = append(keys, s.keys.paid(t))
		args = append(args, t)
	}
	defer s.calls.enter()()
	r := s.run(ctx, abandonScript, keys, args...)
	_, _ = r.text(), r.int()
	return r.done()
}

// beatLine is what a beat says of a line of the pod, and asks.
type beatLine struct {
	bucket int
	first  string  // the pod's first ticket in it
	places []place // those that take theirs
}

// standing is how a line stands.
type standing struct {
	wait  time.Duration // until its bucket opens; -1 while a permit is out
	ahead int           // tickets before the pod's first; -1 if that has lost its place
}

type beatReply struct {
	code    string
	now     int64
	left    int // -1 if missing
	seq     int64
	reset   int64
	refresh bool
	lapse   time.Duration // -1 if none
	more    bool          // there are more tickets to remove before those of this pod
	died    int           // ms on Redis's clock: when a lease has ended last; -1 if none has lately
	held    int           // the same: when the last hold of a pod will end
	lines   []standing    // as many as were asked for
}

// ended is the reset (ms), if it is over: whatever is left then is no more.
func (r beatReply) ended() int64 {
	if r.reset > r.now {
		return 0
	}
	return r.reset
}

// beat says that the pod lives, and what it knows of its lines.
func (s *store) beat(ctx context.Context, v view, lease time.Duration, lines []beatLine) (beatReply, error) {
	refresh := time.Duration(0)
	if s.config.mayAsk() {
		refresh = s.config.refresh
	}
	keys := []string{s.keys.limits(), s.keys.pods(), s.keys.remaining(), s.keys.opens(), s.keys.holds()}
	args := []any{s.config.pod, ms(lease), v.maxConcurrency, v.epoch, v.seq, ms(refresh), s.config.reserveOf(v), v.total}
	for _, l := range lines {
		keys = append(keys, s.keys.slot(l.bucket), s.keys.queue(l.bucket))
		args = append(args, l.bucket)
	}
	for _, l := range lines {
		args = append(args, l.first)
	}
	for i, l := range lines {
		for _, p := range l.places {
			args = append(args, i+1, p.score(), p.ticket)
		}
	}
	defer s.calls.enter()()
	r := s.run(ctx, beatScript, keys, args...)
	reply := beatReply{
		code: r.text(), now: r.int64(), left: r.optional(), seq: r.int64(), reset: r.int64(), refresh: r.int() == 1, lapse: r.optionalSpan(),
		more: r.int() == 1, died: r.optional(), held: r.optional(),
	}
	if reply.code == "resync" {
		return reply, r.done()
	}
	for range lines {
		reply.lines = append(reply.lines, standing{wait: r.optionalSpan(), ahead: r.optional()})
	}
	return reply, r.done()
}

type syncReply struct {
	code   string
	now    int64
	view   view
	closed time.Duration // for how long every bucket is
	server identity
}

// notYet says that nothing was agreed on: the limit source is to be asked (again).
func (r syncReply) notYet() bool {
	switch r.code {
	case "busy", "ask", "over", "stale":
		return true
	}
	return false
}

// report is limits, and when they were true.
type report struct {
	gatewayqueue.SessionStartLimit
	asked int64 // when the source was asked for them, in ms on Redis's clock; 0 if nobody was
}

// sync agrees on limits and state. hold is for how long every bucket is closed if
// state was lost. limit is nil if the source was not asked; asks says that it can
// be when a period is over.
func (s *store) sync(ctx context.Context, update bool, known view, hold time.Duration, buckets int, limit *report, asks bool) (syncReply, error) {
	kind, remembered := "meet", ""
	if update {
		kind = "update"
	}
	if known.epoch != "" {
		remembered = strconv.Itoa(known.remaining)
	}
	fresh := 0
	if s.config.freshStart && known.epoch == "" {
		fresh = 1
	}
	keys := []string{
		s.keys.limits(), s.keys.remaining(), s.keys.opens(), s.keys.spent(), s.keys.out(), s.keys.pods(), s.keys.rests(), s.keys.holds(),
	}
	for b := range buckets {
		keys = append(keys, s.keys.slot(b), s.keys.queue(b))
	}
	args := []any{
		kind, known.epoch, known.seq, remembered, known.reset, randomTail(),
		ms(hold), ms(s.config.podLease), ms(s.config.refresh), "", 0, 0, 0,
	}
	if limit != nil {
		args = append(args[:9], limit.Total, limit.Remaining, ms(limit.ResetAfter), limit.MaxConcurrency)
	}
	mayAsk, asked := 0, ""
	if s.config.mayAsk() {
		mayAsk = 1
	}
	if limit != nil && limit.asked != 0 {
		asked = strconv.FormatInt(limit.asked, 10)
	}
	args = append(args, mayAsk, fresh, asked, flag(asks), ms(gatewayqueue.LimitPeriod))
	defer s.calls.enter()()
	r := s.run(ctx, syncScript, keys, args...)
	code, now := r.text(), r.int64()
	v := view{epoch: r.text(), seq: r.int64(), maxConcurrency: r.int(), total: r.int(), remaining: r.int(), reset: r.int64()}
	closed := time.Duration(max(r.int64()-now, 0)) * time.Millisecond
	return syncReply{code, now, v, closed, identity(r.text())}, r.done()
}

// longestTrouble is how much of a source's error is kept in Redis, in bytes.
const longestTrouble = 300

// postpone notes that the limit source has failed, and for how long no pod may
// ask it.
func (s *store) postpone(ctx context.Context, wait time.Duration, trouble string) error {
	trouble = strings.ToValidUTF8(trouble[:min(len(trouble), longestTrouble)], "")
	defer s.calls.enter()()
	r := s.run(ctx, postponeScript, []string{s.keys.limits()}, ms(wait), trouble)
	_ = r.text()
	return r.done()
}

// ms rounds up: a bucket may be closed for longer than asked for, and never for less.
func ms(d time.Duration) int64 { return (d + time.Millisecond - 1).Milliseconds() }

func flag(yes bool) int {
	if yes {
		return 1
	}
	return 0
}
