package wire

import (
	"strconv"
	"strings"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/lua"
)

var statusScript = newScript(lua.Status)

// Bounds on what one status shows, and so on for how long Redis serves nobody else.
const (
	statusPlaces   = 10   // of each line
	statusSpenders = 1024 // shards, by what they have spent

	// statusLooked is how many places of all lines together are looked at, to tell
	// whose they are: 0.6 ms of Redis. Those behind are only counted.
	statusLooked = 1024
)

// Status asks for a snapshot of the whole queue.
type Status struct {
	App     string
	Buckets int // how many are known
}

// Encode encodes the call.
func (s Status) Encode(keys Keys) Call {
	list := keys.of(statusScript.Keys, 0, "")
	for b := range s.Buckets {
		list = append(list, keys.of(statusScript.EachKey, b, "")...)
	}
	return Call{statusScript, list, statusScript.Order(lua.Values{
		"places": max(statusPlaces, statusLooked/max(1, s.Buckets)), "listed": statusSpenders,
	})}
}

// Decode decodes the answer. Its Step is the window that pods have agreed on, 0 if that
// is not known; margin and reserve are for those to add that know them.
func (s Status) Decode(keys Keys, raw any) (gatewayqueue.Status, error) {
	r := newReply(raw).named(statusScript)
	now := r.at("now").int64()
	limits := r.at("limits").list().pairs()
	limit := func(field string) int64 { return wholeOr(limits[field], 0) }
	status := gatewayqueue.Status{
		App: s.App, Time: time.UnixMilli(now), Epoch: limits["epoch"], Seq: limit("seq"), Hold: until(limit("closed_until"), now),
	}
	status.Pause = pauseOf(limits, now)
	agreed, _, _ := strings.Cut(limits["window"], "@") // <ms>@<when that was heard of>
	if n, err := strconv.ParseInt(agreed, 10, 64); err == nil {
		status.Step = inMilliseconds(n)
	}
	if status.Source.Error = limits["source_error"]; status.Source.Error != "" {
		if after := limit("ask_after"); after > now {
			status.Source.After = momentOf(after)
		}
	}
	var err error
	if status.Store, err = keys.store(r.at("refused").list(), r.at("writes").text()); err != nil {
		return status, err
	}
	left, known := wholeText(r.at("remaining").text())
	reset := limit("reset_at")
	status.Budget = gatewayqueue.BudgetStatus{
		Total: int(limit("total")), Remaining: int(max(left, 0)), MaxConcurrency: int(limit("max_concurrency")),
		Unknown: status.Epoch == "" || !known && (reset == 0 || reset > now),
	}
	_, totalKnown := wholeText(limits["total"])
	if b := &status.Budget; b.MaxConcurrency < 1 || b.MaxConcurrency > MaxConcurrency || b.Total < 0 || !totalKnown { // Store says so
		b.MaxConcurrency, b.Total, b.Unknown = 0, max(b.Total, 0), true
	}
	switch {
	case reset > now:
		status.Budget.Reset = momentOf(reset)
	case reset > 0: // the period is over, and the next begins with its first grant
		status.Budget.Remaining = status.Budget.Total
	}
	s.decodeSpent(r, &status)
	for pods := r.at("pods").list(); len(pods.values) > 0 && pods.err == nil; {
		pod, lease := pods.text(), pods.score()
		status.Pods = append(status.Pods, gatewayqueue.PodStatus{Pod: pod, Lease: momentOf(lease)})
	}
	line := census{now: status.Time, pods: make(map[string]*gatewayqueue.PodStatus, len(status.Pods))}
	for i := range status.Pods {
		line.pods[status.Pods[i].Pod] = &status.Pods[i]
	}
	opens := r.at("opens").list().pairs()
	r.rest()
	for b := range s.Buckets {
		status.Buckets = append(status.Buckets, line.bucket(b, r.list(), opens[strconv.Itoa(b)], status.Hold))
	}
	return status, r.done()
}

// decodeSpent reads what shards have spent, and which of them back off.
func (s Status) decodeSpent(r *reply, status *gatewayqueue.Status) {
	status.Spent, status.SpentBy = make(map[int]int), r.at("shards").int()
	for shard, n := range r.at("spent").list().pairs() {
		id, err1 := strconv.Atoi(shard)
		count, err2 := strconv.Atoi(n)
		if err1 == nil && err2 == nil && count != 0 {
			status.Spent[id] = count
		}
	}
	for shard, end := range r.at("backoffs").list().pairs() {
		id, err1 := strconv.Atoi(shard)
		at, err2 := strconv.ParseInt(end, 10, 64)
		if err1 == nil && err2 == nil && at > status.Time.UnixMilli() && status.Spent[id] > 0 {
			if status.Backoffs == nil {
				status.Backoffs = make(map[int]time.Time)
			}
			status.Backoffs[id] = momentOf(at)
		}
	}
	if status.SpentBy > statusSpenders {
		status.SpentAll = max(0, status.Budget.Total-status.Budget.Remaining) // so much is gone from the budget
		return
	}
	for _, n := range status.Spent {
		status.SpentAll += n
	}
}

// census counts who stands in the lines. Nobody waits in the place of a pod whose
// lease has ended: those behind it are granted as if it were gone, and it is removed
// when one of them asks.
type census struct {
	now  time.Time
	pods map[string]*gatewayqueue.PodStatus
}

func (c census) bucket(b int, r *reply, opens string, hold time.Duration) gatewayqueue.BucketStatus {
	status := gatewayqueue.BucketStatus{Bucket: b}
	slot, ttl := r.text(), r.int64()
	length, looked := r.int(), 0
	status.Holder, status.Permit = strings.CutSuffix(slot, PermitSuffix)
	if slot != "" {
		status.Closed = time.Duration(max(ttl, 1)) * time.Millisecond
	}
	at, _ := strconv.ParseFloat(opens, 64) // 0 for none; claim says if it is no number
	status.Closed = max(status.Closed, until(int64(at), c.now.UnixMilli()), hold)
	seen := make(map[string]bool)
	for ; len(r.values) > 0 && r.err == nil; looked++ {
		ticket, arrival := r.text(), momentOf(r.score())
		shard, pod := OwnerOf(ticket)
		owner := c.pods[pod]
		if owner == nil || owner.Lease.Before(c.now) {
			continue
		}
		owner.Waiting++
		if owner.Since.IsZero() || arrival.Before(owner.Since) {
			owner.Since = arrival
		}
		if id, err := strconv.Atoi(shard); err == nil && !seen[shard] {
			status.Shards, seen[shard] = append(status.Shards, id), true
		}
		status.Waiting++
		if len(status.Line) < statusPlaces {
			status.Line = append(status.Line, gatewayqueue.Place{Ticket: ticket, Arrival: arrival})
		}
	}
	if behind := length - looked; behind > 0 {
		status.Waiting += behind
		status.Shards = nil
	}
	return status
}

// wholeText reads a number as lua/lib/values.lua does.
func wholeText(text string) (n int64, ok bool) {
	if len(text) > 15 || strings.HasPrefix(text, "+") {
		return 0, false
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil
}

// wholeOr is such a number, or what it is taken for where it is no number.
func wholeOr(text string, otherwise int64) int64 {
	if n, ok := wholeText(text); ok {
		return n
	}
	return otherwise
}

// momentOf is a time in ms since 1970 that may have been edited by hand: one of the
// years 1970 to 9999, which can be written as JSON.
func momentOf(n int64) time.Time { return time.UnixMilli(min(max(n, 0), endless)) }

// until is the time from now to then, both in ms; 0 if it has passed.
func until(then, now int64) time.Duration {
	return max(0, inMilliseconds(then-now))
}
