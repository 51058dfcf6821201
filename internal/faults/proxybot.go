package faults

// Bots behind proxies: one connection after the other, as libraries of the worst kind
// make them. Refused, they identify again at once, on the same connection.

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
)

// botPatience is how long a bot hears nothing before it takes its connection for dead.
const botPatience = 2500 * time.Millisecond

// proxyBot is one shard.
type proxyBot struct {
	shard, count int
	addrs        []string // of the proxies, ws://; it dials one after the other
	random       *rand.Rand
	restless     *atomic.Bool // hang up now and then, also while IDENTIFY is held

	tries       int
	session     string
	resume      string // where
	seq         atomic.Int64
	connections int
}

// live connects, again and again, until ctx ends.
func (b *proxyBot) live(ctx context.Context) {
	for ctx.Err() == nil {
		at := b.addrs[b.tries%len(b.addrs)]
		if b.session != "" && b.tries%3 != 2 { // its proxy may be gone for good: then the other
			at = b.resume
		}
		b.tries++
		_ = b.connect(ctx, at) // whatever it was, it comes again
		select {
		case <-time.After(time.Duration(50+b.random.IntN(250)) * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

type gatewayPayload struct {
	Op int             `json:"op"`
	D  json.RawMessage `json:"d"`
	S  *int64          `json:"s"`
	T  string          `json:"t"`
}

// connect is one connection.
func (b *proxyBot) connect(ctx context.Context, at string) error {
	dialing, cancel := context.WithTimeout(ctx, botPatience)
	conn, _, err := websocket.Dial(dialing, at+"/?v=10&encoding=json", nil) //nolint:bodyclose // It has none: the connection is its.
	cancel()
	if err != nil {
		return err
	}
	b.connections++
	ctx, cancel = context.WithCancel(ctx)
	var beats sync.WaitGroup
	defer beats.Wait()
	defer cancel()
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(-1)
	if b.restless.Load() && b.random.IntN(5) == 0 {
		timer := time.AfterFunc(time.Duration(b.random.IntN(3000))*time.Millisecond, func() { _ = conn.CloseNow() })
		defer timer.Stop()
	}
	send := func(text string) error {
		writing, cancel := context.WithTimeout(ctx, botPatience)
		defer cancel()
		return conn.Write(writing, websocket.MessageText, []byte(text))
	}
	for {
		reading, cancel := context.WithTimeout(ctx, botPatience)
		_, message, err := conn.Read(reading)
		cancel()
		if err != nil {
			return err
		}
		var p gatewayPayload
		if err := json.Unmarshal(message, &p); err != nil {
			return err
		}
		if p.S != nil {
			b.seq.Store(*p.S)
		}
		switch {
		case p.Op == 10:
			var hello struct {
				Interval int64 `json:"heartbeat_interval"`
			}
			if err := json.Unmarshal(p.D, &hello); err != nil {
				return err
			}
			beats.Go(func() { b.beat(ctx, send, time.Duration(hello.Interval)*time.Millisecond) })
			err = send(b.opening())
		case p.Op == 9:
			b.session = ""
			err = send(b.opening()) // at once: no library should
		case p.Op == 7:
			return conn.Close(4000, "")
		case p.T == "READY":
			var ready struct {
				ID  string `json:"session_id"`
				URL string `json:"resume_gateway_url"`
			}
			err = json.Unmarshal(p.D, &ready)
			b.session, b.resume = ready.ID, ready.URL
		}
		if err != nil {
			return err
		}
	}
}

// opening is RESUME for who has a session, and else IDENTIFY.
func (b *proxyBot) opening() string {
	if b.session != "" {
		return fmt.Sprintf(`{"op":6,"d":{"token":%q,"session_id":%q,"seq":%d}}`, gatewaytest.DefaultToken, b.session, b.seq.Load())
	}
	return fmt.Sprintf(`{"op":2,"d":{"token":%q,"intents":0,"properties":{},"shard":[%d,%d]}}`, gatewaytest.DefaultToken, b.shard, b.count)
}

func (b *proxyBot) beat(ctx context.Context, send func(string) error, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		if send(fmt.Sprintf(`{"op":1,"d":%d}`, b.seq.Load())) != nil {
			return
		}
	}
}
