// What clients carry around for the servers: tickets and the IDs of permits.

package httpqueue

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// seal signs what clients carry, so that a server believes nothing that no
// server has said. Without a secret, which every server of a Redis must know, it
// still finds what was garbled.
type seal struct{ key []byte }

func newSeal(secret string) seal {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("gatewayqueue: tickets and permits"))
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
	return string(raw[macSize : macSize+1]), string(raw[macSize+1:]), true
}

// ticket is the place of a shard since a moment on the queue's clock.
func (s seal) ticket(shard int, since time.Time) string {
	if since.IsZero() {
		return ""
	}
	return s.close(ticketKind, strconv.Itoa(shard)+" "+strconv.FormatInt(since.UnixMilli(), 10))
}

// since is the inverse of ticket; zero for none.
func (s seal) since(shard int, ticket string) (time.Time, error) {
	if ticket == "" {
		return time.Time{}, nil
	}
	kind, text, ok := s.open(ticket)
	of, at, _ := strings.Cut(text, " ")
	ms, err := strconv.ParseInt(at, 10, 64)
	if !ok || kind != ticketKind || of != strconv.Itoa(shard) || err != nil || ms <= 0 {
		return time.Time{}, &gatewayqueue.InvalidError{Field: "ticket", Value: strconv.Quote(ticket), Want: "one that a server of this queue has given to this shard"}
	}
	return time.UnixMilli(ms), nil
}

// randomID is a name that nobody guesses.
func randomID() string { return rand.Text() }
