package pod

import (
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/wire"
)

// Windows after which a waiter is told why, though nothing has said so yet.
// An ordinary line is worth a word only where this pod has had nothing for longer.
const (
	tellAfter     = 0.6
	tellLineAfter = 3
	tellAgain     = 12  // the same reason: a minute, with Discord's window
	tellHourly    = 720 // the same, while it lasts
)

func (p *Pod) windows(n float64) time.Duration { return time.Duration(n * float64(p.cfg.Window)) }

// maySay says if a reason was not told for a while, and notes that it is now.
func (p *Pod) maySay(key string) bool {
	if last, ok := p.said[key]; ok && p.now.Time().Sub(last) < p.windows(tellAgain) {
		return false
	}
	p.said[key] = p.now.Time()
	return true
}

// mayRepeat is maySay for what is told as long as it lasts: hourly, unless a waiter
// of this pod was granted meanwhile.
func (p *Pod) mayRepeat(key string) bool {
	last, ok := p.said[key]
	if ok && p.now.Time().Sub(last) < p.windows(tellHourly) && !p.grantedAt.After(last) {
		return false
	}
	return p.maySay(key)
}

// block tells the log and the observer why nothing is granted, unless the same
// reason was told just now.
func (p *Pod) block(b *gatewayqueue.BlockedError) {
	p.blockSaid(string(b.Reason), b, func() {
		level := slog.LevelWarn
		if b.Reason == gatewayqueue.ReasonLine || b.Reason == gatewayqueue.ReasonHold {
			level = slog.LevelInfo // it ends by itself, and soon
		}
		p.log(level, "nothing is granted for now", b.Attrs()...)
	})
}

// blockSaid tells the observer, and says in the log by a line of its own what has
// happened; both or neither. key is what was told before, if it was: a reason, or a
// kind of one. say is nil where the log has it already.
func (p *Pod) blockSaid(key string, b *gatewayqueue.BlockedError, say func()) {
	if !p.maySay(key) {
		return
	}
	p.observe(gatewayqueue.Event{Kind: gatewayqueue.EventBlocked, Elapsed: b.Wait, Err: b})
	if say != nil {
		say()
	}
}

// tellBackoff tells that a shard backs off.
func (p *Pod) tellBackoff(w *Waiter, bucket int, d time.Duration) {
	p.observe(gatewayqueue.Event{Kind: gatewayqueue.EventBackoff, ShardID: w.Shard, Bucket: bucket, Elapsed: d})
	p.blockSaid(string(gatewayqueue.ReasonBackoff), backoffBlocks(w.Shard, d), func() {
		p.warn("a shard identifies too often: it backs off before the next", "shard", w.Shard, "for", d)
	})
}

// whyAt is when it is next looked why nobody is granted: it looks at all that wait.
func (p *Pod) whyAt() time.Time {
	return p.askedWhy.Add(max(p.cfg.Window/5, p.lease()/2))
}

// tellWhy tells why nobody of this pod was granted for a while. What this pod cannot
// know by itself it looks up in Redis, once for each time that it is told.
func (p *Pod) tellWhy() {
	if !p.keeping() || p.whyAt().After(p.now.Time()) {
		return
	}
	p.askedWhy = p.now.Time()
	w, since := p.waitsLongest()
	if w == nil || p.now.Time().Sub(since) < p.windows(tellAfter) {
		return
	}
	b := p.why(w)
	switch {
	case b == nil, b.Err != nil: // of Redis or of the source: told where it was asked
	case b.Reason == gatewayqueue.ReasonLine && p.now.Time().Sub(since) < p.windows(tellLineAfter), !p.mayRepeat("long " + string(b.Reason)):
	case b.Reason == gatewayqueue.ReasonLine && w.line != nil:
		p.lookAtLine(b, p.cfg.Keys.Slot(w.line.bucket))
	case b.Reason == gatewayqueue.ReasonSource:
		p.lookAtSource(b)
	default:
		p.block(b)
	}
}

// waitsLongest is who has waited longest of this pod, and since when nobody was
// granted; nil if nobody waits.
func (p *Pod) waitsLongest() (longest *Waiter, since time.Time) {
	older := func(ws []*Waiter) {
		for _, w := range ws {
			if longest == nil || w.Since.Before(longest.Since) {
				longest = w
			}
		}
	}
	older(p.lobby)
	older(p.backingOff)
	for _, l := range p.lines {
		older(l.waiters)
	}
	if longest == nil {
		return nil, since
	}
	if since = longest.Since; p.grantedAt.After(since) {
		since = p.grantedAt
	}
	return longest, since
}

// lookAtLine says what has closed a bucket: a ticket, or somebody by hand.
func (p *Pod) lookAtLine(b *gatewayqueue.BlockedError, slot string) {
	send(p, Calls, wire.Status{App: p.cfg.App}, func(a answer[gatewayqueue.Status]) {
		if a.err == nil && a.reply.Hold > 0 {
			p.block(holdBlocks(a.reply.Hold, whyJoined))
			return
		}
		send(p, Calls, wire.Remember{Key: slot}, func(a answer[wire.Remembered]) {
			holder, permit := strings.CutSuffix(a.reply.Value, wire.PermitSuffix)
			_, _, _, ticket := wire.ParseTicket(holder) //nolint:dogsled // only whether it is one
			switch {
			case a.err != nil || holder == "":
				p.block(b)
				return
			case !ticket:
				b.Text, b.Cure = fmt.Sprintf("bucket closed by hand: %s holds %q", slot, holder), "delete that key, or wait for its TTL"
			case permit:
				b.Text += fmt.Sprintf("; %s holds a permit and has not identified yet", holder)
			default:
				b.Text += fmt.Sprintf("; %s has closed it", holder)
			}
			b.Wait = max(b.Wait, a.reply.Left)
			p.block(b)
		})
	})
}

// lookAtSource says how the limit source has failed for another pod.
func (p *Pod) lookAtSource(b *gatewayqueue.BlockedError) {
	send(p, Calls, wire.Status{App: p.cfg.App}, func(a answer[gatewayqueue.Status]) {
		if source := a.reply.Source; a.err == nil && source.Error != "" {
			b = p.sourceBlocks(fmt.Errorf("to another pod: %s", source.Error), max(0, source.After.Sub(a.reply.Time)))
		}
		p.block(b)
	})
}
