package redismodel_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/wire"
)

// Random calls, of few pods and tickets, so that they meet.

func (d *differ) pod() string { return fmt.Sprintf("pod-%d", d.rand.IntN(3)) }

func (d *differ) ticket() string {
	t := wire.FormatTicket(d.rand.IntN(6), d.pod(), uint64(1+d.rand.IntN(12)))
	if d.rand.IntN(10) == 0 {
		t += "~w" + fmt.Sprint(d.rand.IntN(3))
	}
	return t
}

func (d *differ) flip() bool { return d.rand.IntN(2) == 0 }

func (d *differ) ms(most int) time.Duration {
	return time.Duration(d.rand.IntN(most)) * time.Millisecond
}

// known is what a pod knows, which is now and then not what is in force.
func (d *differ) known() wire.View {
	v := d.view
	switch d.rand.IntN(30) {
	case 0:
		return wire.View{}
	case 1:
		v.Seq += int64(d.rand.IntN(9)) - 4
	case 2:
		v.Total++
	}
	return v
}

func (d *differ) arrival() int64 {
	if d.flip() {
		return 0
	}
	return d.now.UnixMilli() - int64(d.rand.IntN(30_000))
}

func (d *differ) report() *wire.Report {
	r := &wire.Report{SessionStartLimit: gatewayqueue.SessionStartLimit{
		Total: 20 + d.rand.IntN(3), MaxConcurrency: 1 << d.rand.IntN(2), ResetAfter: d.ms(60_000) * time.Duration(d.rand.IntN(2)),
	}}
	r.Remaining = r.Total - d.rand.IntN(15)*d.rand.IntN(2)
	if d.flip() {
		r.Asked = d.now.UnixMilli() - int64(d.rand.IntN(2000))
		if d.rand.IntN(5) == 0 {
			r.Asked -= 40_000
		}
	}
	return r
}

func (d *differ) held() wire.Held {
	return wire.Held{Ticket: d.ticket(), Bucket: d.rand.IntN(2), GrantedBuckets: 1 << d.rand.IntN(2)}
}

func (d *differ) request() wire.Request {
	window := 5 * time.Second
	switch n := d.rand.IntN(100); {
	case n < 12:
		s := wire.Sync{
			Update: d.rand.IntN(3) == 0, Known: d.known(), NewEpoch: fmt.Sprint("epoch-", d.rand.IntN(1000)), LostHold: 10 * time.Second,
			LeastHold: 3 * time.Second, Refresh: time.Minute, MayAsk: d.flip(), Asks: d.rand.IntN(4) == 0, Fresh: d.flip(), Limit: d.report(),
		}
		s.Buckets = s.Known.MaxConcurrency
		if d.rand.IntN(8) == 0 && !s.Update {
			s.Limit = nil
		}
		return s
	case n < 50:
		c := wire.Claim{
			Place: wire.Place{Ticket: d.ticket(), Arrival: d.arrival()}, PodLease: 3 * time.Second, Known: d.known(), Permit: d.flip(),
			Closes: window + 250*time.Millisecond, Usable: 250 * time.Millisecond, Step: window + 250*time.Millisecond,
			Reserve: d.rand.IntN(4), Asks: d.rand.IntN(10) == 0, Notice: d.rand.IntN(50) == 0, Backoff: 4 * d.rand.IntN(2),
			Own: wire.Agreed{Window: window, Grace: 5 * time.Second, PodLease: 3 * time.Second},
		}
		shard, pod, _, _ := wire.ParseTicket(c.Ticket)
		c.Shard, c.Pod, c.Bucket = shard, pod, shard%max(1, c.Known.MaxConcurrency)
		if c.Permit {
			c.Closes, c.Usable = 10*time.Second, 4950*time.Millisecond
		}
		if d.rand.IntN(20) == 0 {
			c.UntilWanted = d.ms(4000)
		}
		if d.rand.IntN(40) == 0 {
			c.Own.Window, c.Own.Replicas = 6*time.Second, 1
		}
		if d.flip() {
			c.Next = d.ticket()
		}
		for range d.rand.IntN(3) {
			c.Others = append(c.Others, wire.Place{Ticket: d.ticket(), Arrival: d.arrival()})
		}
		return c
	case n < 60:
		b := wire.Beat{Pod: d.pod(), PodLease: 3 * time.Second, Known: d.known(), Refresh: time.Minute * time.Duration(d.rand.IntN(2)), Reserve: d.rand.IntN(4)}
		for bucket := range max(1, b.Known.MaxConcurrency) {
			l := wire.BeatLine{Bucket: bucket, First: d.ticket()}
			for range d.rand.IntN(3) {
				l.Places = append(l.Places, wire.Place{Ticket: d.ticket(), Arrival: d.arrival()})
			}
			b.Lines = append(b.Lines, l)
		}
		return b
	case n < 70:
		return wire.Identified{
			Held: d.slotOr(), Closes: window + d.ms(100), Nth: d.rand.IntN(3), Usable: d.ms(50), OwnWindow: window,
		}
	case n < 80:
		r := wire.Renew{OwnWindow: window}
		for range 1 + d.rand.IntN(3)*d.rand.IntN(2) {
			r.Permits = append(r.Permits, wire.Renewal{
				Held: d.slotOr(), Lease: 10 * time.Second, Good: 4950 * time.Millisecond, InTime: d.flip(), Latest: d.now.UnixMilli() + int64(d.rand.IntN(60_000)) - 1000,
			})
		}
		return r
	case n < 88:
		a := wire.Abandon{Bucket: d.rand.IntN(2), PlacesOnly: d.rand.IntN(4) == 0, GoesOn: d.rand.IntN(4) == 0}
		for range 1 + d.rand.IntN(3) {
			a.Tickets = append(a.Tickets, d.slotOr().Ticket)
		}
		if d.rand.IntN(8) == 0 {
			a.LeavingPod = d.pod()
		}
		return a
	}
	return d.seldom()
}

// slotOr is the ticket that has a bucket's slot, or any.
func (d *differ) slotOr() wire.Held {
	h := d.held()
	if slot := d.model.Dump()[keys.Slot(h.Bucket)]; d.flip() && len(slot.Words) > 0 {
		h.Ticket = strings.TrimSuffix(slot.Words[0], wire.PermitSuffix)
		h.GrantedBuckets = max(1, d.view.MaxConcurrency)
	}
	return h
}

func (d *differ) seldom() wire.Request {
	switch d.rand.IntN(10) {
	case 0:
		return wire.Order{What: gatewayqueue.OrderPause, Order: gatewayqueue.Order{For: d.ms(5000), Who: "me", Why: "why"}}
	case 1, 2:
		return wire.Order{What: gatewayqueue.OrderResume, Order: gatewayqueue.Order{Who: "me"}}
	case 3:
		return wire.Audit{}
	case 4:
		return wire.Postpone{Wait: d.ms(3000), Trouble: "trouble"}
	case 5:
		return wire.Remember{Key: keys.Shared("x"), Value: []string{"", "a", "b"}[d.rand.IntN(3)], Keep: d.ms(10_000) * time.Duration(d.rand.IntN(2)), Replace: d.flip()}
	case 6:
		return wire.Ready{}
	case 7:
		return wire.Record{Pod: d.pod(), Keep: time.Hour, Replay: time.Minute, Tallies: []wire.Tally{{Number: d.rand.IntN(50), Ago: d.ms(200_000), Counts: "granted=2 21=1"}}}
	case 8:
		return wire.History{}
	}
	return wire.Status{App: "app", Buckets: max(1, d.view.MaxConcurrency)}
}

// learn takes in what a sync or claim says is in force, as a pod does.
func (d *differ) learn(request wire.Request, raw any) {
	switch r := request.(type) {
	case wire.Sync:
		if reply, err := r.Decode(keys, raw); err == nil && reply.View.Epoch != "" {
			d.view = reply.View
		}
	case wire.Claim:
		if reply, err := r.Decode(keys, raw); err == nil && reply.Code != "resync" {
			d.view.Seq = max(d.view.Seq, reply.Seq)
		}
	}
}
