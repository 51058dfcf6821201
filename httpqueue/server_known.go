// What became of a wait: a key that asks again is answered with the grant that it
// had, and a ticket ends with its grant.

package httpqueue

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

const (
	// knownFor is for how long it is known what became of a wait.
	knownFor = time.Hour

	// freeFor is for how long after the grant of /v1/identifies the same key is
	// granted again, without another unit: nobody reports that one, so later its
	// key is taken for one that is used for everything.
	freeFor = time.Minute

	// noteBound bounds how long an answer waits until the other servers know of
	// its grant. Without that, the same key waits for the bucket to open.
	noteBound = 500 * time.Millisecond
)

// What is known of a grant.
const (
	notedIdentify = "identify"
	notedPermit   = "permit " // and its ID
	notedTicket   = "ticket"  // of a wait without a key: nothing but that it is over
)

// recognise finds out which wait a poll is for, and what is known of it. It
// returns a permit that the wait has had, if that still holds.
func (h *Handler) recognise(ctx context.Context, p *poll) (had gatewayqueue.Permit, id string, bad *problem) {
	defer func() {
		if bad != nil && bad.Status == http.StatusServiceUnavailable && h.ending.Err() != nil {
			bad = h.problemOf(errShutdown)
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	defer context.AfterFunc(h.ending, cancel)()
	if p.wait != "" && keyTail(p.wait) != keyTail(newWait(p.shard, p.key)) { // the ticket is of another wait: this one has no place yet
		p.startOver("")
	}
	fresh := p.wait == "" // no ticket
	if fresh {
		p.wait = newWait(p.shard, p.key)
	}
	if p.key == "" {
		if fresh {
			return nil, "", nil
		}
		known, _, err := h.notes.Remember(ctx, grantName(p.wait), "", 0, false)
		if err != nil {
			return nil, "", h.problemOf(err)
		}
		if known != "" { // the ticket has had its grant: a client that brings it starts over
			p.startOver(randomID())
		}
		return nil, "", nil
	}
	wait, _, err := h.notes.Remember(ctx, keyName(p.shard, p.key), p.wait, knownFor, false)
	if err != nil {
		return nil, "", h.problemOf(err)
	}
	if fresh && wait == p.wait {
		return nil, "", nil
	}
	p.wait = wait
	known, left, err := h.notes.Remember(ctx, grantName(wait), "", 0, false)
	if err != nil {
		return nil, "", h.problemOf(err)
	}
	p.before = known != ""
	switch {
	case !p.before:
		return nil, "", nil
	case !p.permit && known == notedIdentify && left >= knownFor-freeFor:
		return nil, "", nil
	case !strings.HasPrefix(known, notedPermit):
		return nil, "", usedKey()
	}
	id = strings.TrimPrefix(known, notedPermit)
	permit, bad := h.permitOf(ctx, id)
	if bad == nil {
		bad = h.renew(ctx, permit)
	}
	switch {
	case bad == nil && !p.permit:
		return nil, "", newProblem(http.StatusConflict, "held", "this key has an open permit: report it or give it up, and wait by a new key")
	case bad == nil:
		return permit, id, nil
	case bad.Reason == reasonSettled:
		return nil, "", usedKey()
	case bad.Status == http.StatusGone && !p.permit: // nobody would report that it is used now
		bad.Detail = "this key's permit has lapsed: ask for a permit by the same key, or wait by a new one"
		return nil, "", bad
	case bad.Status == http.StatusGone: // it lapsed: nobody has used it
		return nil, "", nil
	case bad.Status == http.StatusNotFound: // of a key that is no more
		return nil, "", nil
	}
	return nil, "", bad
}

// startOver makes it another wait, which stands at the end of the line.
func (p *poll) startOver(wait string) {
	p.wait, p.since, p.issued, p.ticketed = wait, time.Time{}, time.Time{}, false
}

func usedKey() *problem {
	p := newProblem(http.StatusGone, "gone", "this key has had its grant, and that was settled: a new wait takes a new key")
	p.Reason = reasonSettled
	return p
}

// note tells the other servers of a grant. Its request is one of the handler's work.
func (h *Handler) note(p *poll, what string) {
	name := grantName(p.wait)
	switch {
	case strings.HasPrefix(what, notedPermit):
		h.keep(name, what, true, noteBound)
	case p.key == "" && !p.ticketed: // nobody has anything to come back with
	default: // an answer that is a grant of now does not wait for it
		h.work.Go(func() { h.keep(name, what, false, settleTimeout) })
	}
}

func (h *Handler) keep(name, value string, replace bool, bound time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	defer cancel()
	defer context.AfterFunc(h.ending, func() { time.AfterFunc(noteBound, cancel) })()
	if _, _, err := h.notes.Remember(ctx, name, value, knownFor, replace); err != nil {
		h.options.log.Warn("could not note a grant: its key is answered with it only once the bucket opens", "error", err)
	}
}

func grantName(wait string) string { return "grant:" + wait }

// keyName is the name of a client's key. Clients choose them, so two shards may
// have the same one.
func keyName(shard int, key string) string {
	sum := sha256.Sum256([]byte(strconv.Itoa(shard) + " " + key))
	return "key:" + base64.RawURLEncoding.EncodeToString(sum[:16])
}

// newWait names a wait. A ticket so tells which key it was given to.
func newWait(shard int, key string) string {
	if key == "" {
		return randomID()
	}
	return randomID() + waitKeyMark + strings.TrimPrefix(keyName(shard, key), "key:")[:8]
}

// waitKeyMark stands before the part of a wait's name that tells its key.
const waitKeyMark = "-"

// keyTail is that part; empty for a wait without a key.
func keyTail(wait string) string {
	_, tail, _ := strings.Cut(wait, waitKeyMark)
	return tail
}
