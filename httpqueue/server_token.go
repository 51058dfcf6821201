// What clients carry around for the servers: tickets and the IDs of permits.

package httpqueue

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// seals signs what clients carry, so that a server believes nothing that no
// server has said. The key is random, made once by whichever server is first,
// and known to all of a queue; a bearer token is a part of it.
type seals struct {
	notes notes
	token string

	mu     sync.Mutex
	secret string
	asked  time.Time // when it was last asked for
}

const (
	sealName = "seal"

	// sealAgain is how often the key is asked for again: a Redis that lost it is
	// told, and a server that started meanwhile has made another one.
	sealAgain = time.Minute

	// sealBound bounds how long a request waits for the key that a server has
	// not heard of yet.
	sealBound = 5 * time.Second
)

// seal is the key in force. While the store is away it is the last one that was
// heard of, and an error if there was none.
func (s *seals) seal(ctx context.Context) (seal, error) { return s.newest(ctx, sealAgain) }

func (s *seals) newest(ctx context.Context, age time.Duration) (seal, error) {
	s.mu.Lock()
	secret, asked := s.secret, s.asked
	if secret != "" && time.Since(asked) >= age {
		s.asked = time.Now() // others need not ask as well
	}
	s.mu.Unlock()
	if secret != "" && time.Since(asked) < age {
		return newSeal(secret, s.token), nil
	}
	ctx, cancel := context.WithTimeout(ctx, sealBound)
	defer cancel()
	offer := secret
	if offer == "" {
		offer = rand.Text() + rand.Text()
	}
	known, _, err := s.notes.Remember(ctx, sealName, offer, 0, false)
	if err != nil && secret == "" {
		return seal{}, err
	}
	if err == nil {
		secret = known
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secret, s.asked = secret, time.Now()
	return newSeal(secret, s.token), nil
}

// open opens what was sealed, if need be with a key that is newer than the one
// that this server knows.
func (s *seals) open(ctx context.Context, token string) (kind, text string, ok bool, _ error) {
	for _, age := range []time.Duration{sealAgain, time.Second} {
		seal, err := s.newest(ctx, age)
		if err != nil {
			return "", "", false, err
		}
		if kind, text, ok = seal.open(token); ok {
			return kind, text, true, nil
		}
	}
	return "", "", false, nil
}

type seal struct{ key []byte }

func newSeal(secret, token string) seal {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("gatewayqueue: tickets and permits\n" + token))
	return seal{mac.Sum(nil)}
}

// What is sealed.
const (
	ticketKind = "t" // a place in line
	recordKind = "p" // a permit, as its queue has exported it
	heldKind   = "h" // a permit that the handler keeps
)

const macSize = 16

func (s seal) mac(text string) []byte {
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(text))
	return mac.Sum(nil)[:macSize]
}

func (s seal) close(kind, text string) string {
	text = kind + text
	return base64.RawURLEncoding.EncodeToString(append(s.mac(text), text...))
}

func (s seal) open(token string) (kind, text string, ok bool) {
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(raw) <= macSize || !hmac.Equal(raw[:macSize], s.mac(string(raw[macSize:]))) {
		return "", "", false
	}
	kind, text = read(token)
	return kind, text, true
}

// read is open for who does not mind whether it is true.
func read(token string) (kind, text string) {
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(raw) <= macSize {
		return "", ""
	}
	return string(raw[macSize : macSize+1]), string(raw[macSize+1:])
}

// place is what a ticket says: the place of a shard since a moment on the
// queue's clock, and for which wait.
type place struct {
	shard  int
	since  time.Time
	wait   string
	issued time.Time // on the clock of the server that wrote it
}

// ticketGood is for how long after its answer a ticket keeps the place. What
// became of its wait is known for longer.
const ticketGood = knownFor / 2

func (s seal) ticket(p place) string {
	text := strconv.Itoa(p.shard) + " " + strconv.FormatInt(p.since.UnixMilli(), 10) + " " + p.wait + " " + strconv.FormatInt(p.issued.Unix(), 10)
	return s.close(ticketKind, text)
}

// placeOf is the inverse of ticket. A ticket of a key that is no more (the bearer
// token was changed, Redis has lost its data) keeps no place, as its queue's
// lines are gone too, or not to be believed: known is false, and its client
// stands at the end. What no server can have written is an InvalidError.
func (s *seals) placeOf(ctx context.Context, shard int, ticket string) (_ place, known bool, _ error) {
	kind, text, known, err := s.open(ctx, ticket)
	if err != nil {
		return place{}, false, err
	}
	if !known {
		kind, text = read(ticket)
	}
	fields := strings.Split(text, " ")
	if kind != ticketKind || len(fields) != 4 && (known || len(fields) != 2) || fields[0] != strconv.Itoa(shard) {
		return place{}, false, &gatewayqueue.InvalidError{Field: "ticket", Value: strconv.Quote(ticket), Want: "one that a server of this queue has given to this shard"}
	}
	if !known {
		return place{}, false, nil
	}
	at, err1 := strconv.ParseInt(fields[1], 10, 64)
	issued, err2 := strconv.ParseInt(fields[3], 10, 64)
	return place{shard, time.UnixMilli(at), fields[2], time.Unix(issued, 0)}, err1 == nil && err2 == nil, nil
}

// randomID is a name that nobody guesses.
func randomID() string { return rand.Text() }
