package redisqueue

import (
	"context"
	"errors"
	"maps"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/lua"
)

// script is one of the scripts: its text, its names, and its hash.
type script struct {
	*lua.Script
	redis *redis.Script
}

func newScript(s *lua.Script) script { return script{s, redis.NewScript(s.Source)} }

var (
	claimScript      = newScript(lua.Claim)
	identifiedScript = newScript(lua.Identified)
	renewScript      = newScript(lua.Renew)
	renewManyScript  = newScript(lua.RenewMany)
	abandonScript    = newScript(lua.Abandon)
	beatScript       = newScript(lua.Beat)
	syncScript       = newScript(lua.Sync)
	statusScript     = newScript(lua.Status)
	readyScript      = newScript(lua.Ready)
	postponeScript   = newScript(lua.Postpone)
	rememberScript   = newScript(lua.Remember)
	sightScript      = newScript(lua.Sight)
	recordScript     = newScript(lua.Record)
	historyScript    = newScript(lua.History)
)

// paidTTL is how long Redis remembers what became of a ticket that has left. It
// must outlast every re-sending of a call by the client. That a ticket was
// granted, or has identified, is remembered until the reset.
const paidTTL = time.Minute

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
func (s *store) run(ctx context.Context, script script, keys []string, args ...any) *reply {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	raw, err := script.redis.Run(ctx, s.client, keys, args...).Result()
	return newReply(raw, s.moving(err)).named(script)
}

// call is what a script is run on.
type call struct {
	keys []string
	args []any
}

// runMany runs a script on several calls, in one if there are several. It returns
// the list of their replies, and where that matters how many replicas have them.
func (s *store) runMany(ctx context.Context, one, many script, calls []call) (list *reply, acked int) {
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
	list = newReply(raw, s.moving(err)).named(one)
	if len(calls) == 1 && list.err == nil {
		list = &reply{values: []any{list.values}, names: one.Reply}
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

func (p place) score() string { return orEmpty(p.arrival, p.arrival != 0) }

// orEmpty is a number as an argument that may be missing.
func orEmpty(n int64, there bool) string {
	if !there {
		return ""
	}
	return strconv.FormatInt(n, 10)
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
	usable := c.closes - s.config.window
	if c.permit {
		usable = s.config.permitGood()
	}
	values := lua.Values{
		"ticket": c.ticket, "arrival": c.score(), "shard": c.shard, "bucket": c.bucket, "pod": s.config.pod, "pod_lease": c.lease,
		"known_epoch": c.view.epoch, "known_seq": c.view.seq, "known_buckets": c.view.maxConcurrency, "known_total": c.view.total,
		"permit": c.permit, "closes": c.closes, "usable": usable, "until_wanted": c.hold, "step": s.config.step(c.permit),
		"reserve": s.config.reserveOf(c.view), "least_reserve": s.config.leastReserveOf(c.view),
		"period": gatewayqueue.LimitPeriod, "paid_ttl": paidTTL, "next_ticket": c.next, "breaker": c.breaker, "asks": c.asks,
		"own_window": s.config.window, "own_grace": s.config.grace(), "own_pod_lease": s.config.podLease, "own_replicas": s.config.replicas,
	}
	var others []any
	for _, p := range c.others {
		others = append(others, p.score(), p.ticket)
	}
	keys := s.keys.of(claimScript.Keys, c.bucket, c.ticket)
	defer s.calls.enter()()
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	noticed := s.unknown.Load()
	values["notice"] = noticed
	raw, acked, err := s.eval(ctx, false, claimScript, keys, claimScript.Order(values, others...))
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		// Where scripts are not told who the server is, that is all there is to
		// show that it may have been restarted, or be a replica that was
		// promoted without the last grants. It knows the script from now on,
		// even if it can't write yet.
		s.unknown.Store(true)
		noticed, values["notice"] = true, true
		raw, acked, err = s.eval(ctx, true, claimScript, keys, claimScript.Order(values, others...))
	}
	r := newReply(raw, s.moving(err)).named(claimScript)
	reply := claimReply{
		code: r.at("code").text(), now: r.at("now").int64(), wait: r.at("wait").span(), ahead: r.at("ahead").int(),
		left: r.at("remaining").int(), seq: r.at("seq").int64(), head: r.at("head").text(),
		shut: r.at("shut").duration(), reset: r.at("reset").int64(), server: identity(r.at("server").text()),
		window: r.at("window").duration(), replicas: r.at("replicas").int(),
	}
	back := r.at("back").int()
	reply.back, reply.more = back == 1, back == 2
	reply.hold = reply.window + r.at("grace").duration()
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

func settledOf(r *reply) settled {
	return settled{code: r.at("code").text(), now: r.at("now").int64(), seq: r.at("seq").int64()}
}

func (s *store) identified(ctx context.Context, p *permit) (settled, error) {
	return s.report(ctx, p, s.config.step(true)+p.within, 0, p.within)
}

// announce says for the nth time that IDENTIFY is about to leave, within usable
// of the sending of this call.
func (s *store) announce(ctx context.Context, p *permit, nth int, usable time.Duration) (settled, error) {
	closes := s.config.window + s.config.permitMargin - s.config.announced() + usable
	return s.report(ctx, p, closes, nth, usable)
}

func (s *store) report(ctx context.Context, p *permit, closes time.Duration, nth int, usable time.Duration) (settled, error) {
	args := identifiedScript.Order(lua.Values{
		"ticket": p.ticket, "bucket": p.bucket, "closes": closes, "granted_buckets": p.maxConcurrency, "paid_ttl": paidTTL,
		"own_window": s.config.window, "period": gatewayqueue.LimitPeriod, "nth": nth, "usable": usable,
	})
	defer s.reports.enter()()
	r := s.run(ctx, identifiedScript, s.keys.of(identifiedScript.Keys, p.bucket, p.ticket), args...)
	return settledOf(r), r.done()
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
		calls[i] = call{s.keys.of(renewScript.Keys, r.permit.bucket, r.permit.ticket), renewScript.Order(lua.Values{
			"ticket": r.permit.ticket, "bucket": r.permit.bucket, "permit_lease": tail + r.good, "granted_buckets": r.permit.maxConcurrency,
			"paid_ttl": paidTTL, "in_time": r.inTime, "latest": latest, "own_window": s.config.window, "usable": r.good,
			"period": gatewayqueue.LimitPeriod,
		})}
	}
	defer s.reports.enter()()
	list, acked := s.runMany(ctx, renewScript, renewManyScript, calls)
	replies := make([]settled, len(renewals))
	for i := range replies {
		r := list.list()
		replies[i] = settledOf(r)
		if err := r.done(); err != nil {
			return nil, err
		}
	}
	if err := list.done(); err != nil {
		return nil, err
	}
	return replies, s.acknowledged(acked) // of what is identified the successor's hold takes care
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
		if err := s.giveUp(ctx, bucket, lua.Values{"goes_on": true}, goOn); err != nil {
			return err
		}
	}
	if len(own) == 0 && pod == "" {
		return nil
	}
	return s.giveUp(ctx, bucket, lua.Values{"leaving_pod": pod}, own)
}

// end gives up a permit's slot and unit, and its wait with it.
func (s *store) end(ctx context.Context, p *permit) error {
	return s.giveUp(ctx, p.bucket, nil, []string{p.ticket})
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
	args := rememberScript.Order(lua.Values{"value": value, "ttl": keep, "replace": replace})
	defer s.calls.enter()()
	r := s.run(ctx, rememberScript, []string{key}, args...)
	known, left := r.at("value").text(), r.at("ttl").int64()
	return known, time.Duration(left) * time.Millisecond, r.done()
}

// forget gives up the tickets' places only.
func (s *store) forget(ctx context.Context, bucket int, tickets ...string) error {
	return s.giveUp(ctx, bucket, lua.Values{"places_only": true}, tickets)
}

// giveUp sends abandon; how is what differs from tickets that leave for good.
func (s *store) giveUp(ctx context.Context, bucket int, how lua.Values, tickets []string) error {
	values := lua.Values{"bucket": bucket, "paid_ttl": paidTTL, "places_only": false, "goes_on": false, "leaving_pod": ""}
	maps.Copy(values, how)
	keys := s.keys.of(abandonScript.Keys, bucket, "")
	var each []any
	for _, t := range tickets {
		keys = append(keys, s.keys.of(abandonScript.EachKey, bucket, t)...)
		each = append(each, t)
	}
	defer s.calls.enter()()
	r := s.run(ctx, abandonScript, keys, abandonScript.Order(values, each...)...)
	_, _ = r.at("code").text(), r.at("units").int()
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

	pause *gatewayqueue.PauseStatus // nil if grants are not paused; Since is not told
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
	values := lua.Values{
		"pod": s.config.pod, "pod_lease": lease, "known_epoch": v.epoch, "known_seq": v.seq, "known_buckets": v.maxConcurrency,
		"known_total": v.total, "refresh_every": refresh, "reserve": s.config.reserveOf(v),
	}
	keys := s.keys.of(beatScript.Keys, 0, "")
	var each []any
	for _, l := range lines {
		keys = append(keys, s.keys.of(beatScript.EachKey, l.bucket, "")...)
		each = append(each, l.bucket, l.first, len(l.places))
		for _, p := range l.places {
			each = append(each, p.score(), p.ticket)
		}
	}
	args := beatScript.Order(values, each...)
	defer s.calls.enter()()
	r := s.run(ctx, beatScript, keys, args...)
	reply := beatReply{
		code: r.at("code").text(), now: r.at("now").int64(), left: r.at("remaining").optional(), seq: r.at("seq").int64(),
		reset: r.at("reset").int64(), refresh: r.at("refresh").int() == 1, lapse: r.at("lapse").optionalSpan(),
		more: r.at("more").int() == 1, died: r.at("died").optional(), held: r.at("hold").optional(),
	}
	reply.pause = pauseOf(map[string]string{
		"paused_until": r.at("paused").text(), "paused_by": r.at("paused_by").text(), "paused_why": r.at("paused_why").text(),
	}, reply.now)
	if reply.code == "resync" {
		return reply, r.done()
	}
	r.rest()
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
	figures := lua.Values{"new_total": "", "new_left": 0, "new_reset_after": 0, "new_buckets": 0, "asked": ""}
	if limit != nil {
		figures = lua.Values{
			"new_total": limit.Total, "new_left": limit.Remaining, "new_reset_after": limit.ResetAfter, "new_buckets": limit.MaxConcurrency,
			"asked": orEmpty(limit.asked, limit.asked != 0),
		}
	}
	values := lua.Values{
		"update": update, "known_epoch": known.epoch, "known_seq": known.seq, "known_reset": known.reset,
		"known_left": orEmpty(int64(known.remaining), known.epoch != ""),
		"new_epoch":  randomTail(), "lost_hold": hold, "least_hold": s.config.podLease, "refresh_in": s.config.refresh,
		"may_ask": s.config.mayAsk(), "asks": asks, "fresh": s.config.freshStart && known.epoch == "", "period": gatewayqueue.LimitPeriod,
	}
	maps.Copy(values, figures)
	keys := s.keys.of(syncScript.Keys, 0, "")
	for b := range buckets {
		keys = append(keys, s.keys.of(syncScript.EachKey, b, "")...)
	}
	args := syncScript.Order(values)
	defer s.calls.enter()()
	r := s.run(ctx, syncScript, keys, args...)
	now := r.at("now").int64()
	v := view{
		epoch: r.at("epoch").text(), seq: r.at("seq").int64(), maxConcurrency: r.at("max_concurrency").int(), total: r.at("total").int(),
		remaining: r.at("remaining").int(), reset: r.at("reset_at").int64(),
	}
	closed := time.Duration(max(r.at("closed_until").int64()-now, 0)) * time.Millisecond
	return syncReply{r.at("code").text(), now, v, closed, identity(r.at("server").text())}, r.done()
}

// longestTrouble is how much of a source's error is kept in Redis, in bytes.
const longestTrouble = 300

// postpone notes that the limit source has failed, and for how long no pod may
// ask it.
func (s *store) postpone(ctx context.Context, wait time.Duration, trouble string) error {
	trouble = strings.ToValidUTF8(trouble[:min(len(trouble), longestTrouble)], "")
	args := postponeScript.Order(lua.Values{"wait": wait, "trouble": trouble})
	defer s.calls.enter()()
	r := s.run(ctx, postponeScript, s.keys.of(postponeScript.Keys, 0, ""), args...)
	_ = r.at("code").text()
	return r.done()
}
