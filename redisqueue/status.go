package redisqueue

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/lua"
)

// Bounds on what one status shows, and so on for how long Redis serves nobody else.
const (
	statusPlaces   = 10   // of each line
	statusSpenders = 1024 // shards, by what they have spent

	// statusLooked is how many places of all lines together are looked at, to tell
	// whose they are: 0.6 ms of Redis. Those behind count, whoever they are of.
	statusLooked = 1024
)

// Status returns one consistent snapshot of the whole queue, of all pods. It
// reads only, and works without any Wait before. Where Redis has no queue of
// this application, Budget.Unknown is set and there are no buckets. What each
// shard has spent is listed while 1,024 shards or fewer have spent anything, and which
// shards stand in a line while it has its share of 1,024 places, or fewer. It blocks
// for one call, two the first time, and does not try again.
func (q *RedisQueue) Status(ctx context.Context) (gatewayqueue.Status, error) {
	q.mu.Lock()
	buckets, closed := q.view.maxConcurrency, q.closed
	q.mu.Unlock()
	if closed {
		return gatewayqueue.Status{}, gatewayqueue.ErrClosed
	}
	for range 3 { // the limits may change between two calls
		status, err := q.store.status(ctx, buckets)
		if err != nil {
			if classify(err) == returned {
				err = explain(err, q.store.keys)
			}
			return status, err
		}
		if status.Budget.MaxConcurrency == buckets {
			return status, nil
		}
		buckets = status.Budget.MaxConcurrency
	}
	return gatewayqueue.Status{}, fmt.Errorf("%w: limits that change with every look", ErrUnexpectedReply)
}

func (s *store) status(ctx context.Context, buckets int) (gatewayqueue.Status, error) {
	keys := s.keys.of(statusScript.Keys, 0, "")
	for b := range buckets {
		keys = append(keys, s.keys.of(statusScript.EachKey, b, "")...)
	}
	r := s.run(ctx, statusScript, keys, statusScript.Order(lua.Values{"places": max(statusPlaces, statusLooked/max(1, buckets)), "listed": statusSpenders})...)
	now := r.at("now").int64()
	limits := r.at("limits").list().pairs()
	status := gatewayqueue.Status{App: s.config.app, Time: time.UnixMilli(now), Epoch: limits["epoch"]}
	left, text := -1, r.at("remaining").text()
	if n, err := strconv.Atoi(text); err == nil {
		left = n
	} else if text != "" && r.err == nil {
		r.err = fmt.Errorf("BADVALUE %s", s.keys.remaining())
	}
	number := func(field string) int64 {
		n, err := strconv.ParseInt(limits[field], 10, 64)
		if err != nil && limits[field] != "" && r.err == nil {
			r.err = fmt.Errorf("BADVALUE %s", s.keys.limits())
		}
		return n
	}
	reset := number("reset_at")
	status.Seq = number("seq")
	status.Step = s.config.stepOf(limits["window"])
	status.Hold = until(number("closed_until"), now)
	status.Pause = pauseOf(limits, now)
	if status.Source.Error = limits["source_error"]; status.Source.Error != "" {
		if after := number("ask_after"); after > now {
			status.Source.After = time.UnixMilli(after)
		}
	}
	status.Budget = gatewayqueue.BudgetStatus{
		Total: int(number("total")), Remaining: max(left, 0), MaxConcurrency: int(number("max_concurrency")),
		Unknown: status.Epoch == "" || left < 0 && (reset == 0 || reset > now),
	}
	if mc := status.Budget.MaxConcurrency; mc < 0 || mc > maxConcurrencyBound {
		return status, fmt.Errorf("BADVALUE %s", s.keys.limits())
	}
	if status.Epoch != "" {
		in := view{total: status.Budget.Total, maxConcurrency: status.Budget.MaxConcurrency}
		status.Budget.Reserve = s.config.reserveOf(in)
		if never := s.config.grantsEver(in); never != nil {
			status.Budget.Never = never.Error()
		}
	}
	switch {
	case reset > now:
		status.Budget.Reset = time.UnixMilli(reset)
	case reset > 0: // the period is over, and the next begins with its first grant
		status.Budget.Remaining = status.Budget.Total
	}
	status.Spent, status.SpentBy = make(map[int]int), r.at("shards").int()
	for shard, n := range r.at("spent").list().pairs() {
		id, err1 := strconv.Atoi(shard)
		count, err2 := strconv.Atoi(n)
		if err1 == nil && err2 == nil && count != 0 {
			status.Spent[id] = count
		}
	}
	for shard, end := range r.at("rests").list().pairs() {
		id, err1 := strconv.Atoi(shard)
		at, err2 := strconv.ParseInt(end, 10, 64)
		if err1 == nil && err2 == nil && at > now && status.Spent[id] > 0 {
			if status.Resting == nil {
				status.Resting = make(map[int]time.Time)
			}
			status.Resting[id] = time.UnixMilli(at)
		}
	}
	if status.SpentBy > statusSpenders {
		status.SpentAll = max(0, status.Budget.Total-status.Budget.Remaining) // so much is gone from the budget
	} else {
		for _, n := range status.Spent {
			status.SpentAll += n
		}
	}
	for pods := r.at("pods").list(); len(pods.values) > 0 && pods.err == nil; {
		pod, lease := pods.text(), pods.score()
		status.Pods = append(status.Pods, gatewayqueue.PodStatus{Pod: pod, Lease: time.UnixMilli(lease)})
	}
	line := census{now: status.Time, pods: make(map[string]*gatewayqueue.PodStatus, len(status.Pods))}
	for i := range status.Pods {
		line.pods[status.Pods[i].Pod] = &status.Pods[i]
	}
	opens := r.at("opens").list().pairs()
	r.rest()
	for b := range buckets {
		status.Buckets = append(status.Buckets, line.bucket(b, r.list(), opens[strconv.Itoa(b)], status.Hold))
	}
	return status, r.done()
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
	status.Holder, status.Permit = strings.CutSuffix(slot, permitSuffix)
	if slot != "" {
		status.Closed = time.Duration(max(ttl, 1)) * time.Millisecond
	}
	at, _ := strconv.ParseFloat(opens, 64) // 0 for none; claim says if it is no number
	status.Closed = max(status.Closed, until(int64(at), c.now.UnixMilli()), hold)
	seen := make(map[string]bool)
	for ; len(r.values) > 0 && r.err == nil; looked++ {
		ticket, arrival := r.text(), time.UnixMilli(r.score())
		shard, pod := ownerOf(ticket)
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

// ownerOf is the shard and the pod of a ticket, <shard>@<pod>#<n>, as lua/lib/line.lua
// reads it: a pod's name has no '#'.
func ownerOf(ticket string) (shard, pod string) {
	shard, rest, _ := strings.Cut(ticket, "@")
	pod, _, _ = strings.Cut(rest, "#")
	return shard, pod
}

// stepOf is the time between two grants of a bucket: the window that pods have agreed on
// (<ms>@<when that was heard of>), and this one's margin.
func (c *config) stepOf(agreed string) time.Duration {
	ms, _, _ := strings.Cut(agreed, "@")
	if n, err := strconv.ParseInt(ms, 10, 64); err == nil {
		return inMilliseconds(n) + c.margin
	}
	return c.step(false)
}

// until is the time from now to then, both in ms; 0 if it has passed.
func until(then, now int64) time.Duration {
	return max(0, inMilliseconds(then-now))
}
