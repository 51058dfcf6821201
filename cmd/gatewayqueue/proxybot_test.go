// Bots that the tests of gatewayqueue proxy play, and the Discord behind it.

package main_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
)

// proxyWindow is Discord's in these tests, and proxyMargin what the proxies add to it: a
// machine that is busy delivers an IDENTIFY late.
const (
	proxyWindow = 300 * time.Millisecond
	proxyMargin = 300 * time.Millisecond
)

// proxyDiscord is a fake Discord with so many buckets.
func proxyDiscord(t *testing.T, buckets int, options ...gatewaytest.Option) *gatewaytest.Server {
	t.Helper()
	limit := gatewayqueue.DefaultLimit()
	limit.MaxConcurrency = buckets
	d := gatewaytest.NewServer(append([]gatewaytest.Option{gatewaytest.WithLimit(limit), gatewaytest.WithWindow(proxyWindow)}, options...)...)
	t.Cleanup(d.Close)
	return d
}

// startProxy starts a proxy in front of it.
func startProxy(t *testing.T, d *gatewaytest.Server, env []string, args ...string) *served {
	t.Helper()
	return start(t, program, env, append([]string{
		"proxy", "--port", "0", "--window", proxyWindow.String(), "--margin", proxyMargin.String(), "--gateway", d.GatewayURL(), "--gateway-host", d.ResumeURL(), "--discord-api", d.URL(),
	}, args...)...)
}

// gatewayURL is where bots find it.
func (s *served) gatewayURL() string { return "ws" + strings.TrimPrefix(s.URL, "http") }

// proxyBot is one shard of a bot.
type proxyBot struct {
	shard, shards int
	token         string
	client        *http.Client
	conn          *websocket.Conn

	mu      sync.Mutex
	session string
	resume  string // resume_gateway_url
	seq     int64
	readies int
	resumed int
}

func newBot(shard, shards int) *proxyBot {
	return &proxyBot{shard: shard, shards: shards, token: gatewaytest.DefaultToken}
}

// gatewayPayload is one of Discord's.
type gatewayPayload struct {
	Op int             `json:"op"`
	D  json.RawMessage `json:"d"`
	S  *int64          `json:"s"`
	T  string          `json:"t"`
}

// dial connects to address, and reads HELLO.
func (b *proxyBot) dial(ctx context.Context, address string) error {
	dialling, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	conn, _, err := websocket.Dial(dialling, strings.TrimSuffix(address, "/")+"/?v=10&encoding=json", &websocket.DialOptions{HTTPClient: b.client})
	if err != nil {
		return err
	}
	conn.SetReadLimit(-1)
	b.conn = conn
	hello, err := b.next(ctx)
	if err == nil && hello.Op != 10 {
		err = fmt.Errorf("op %d, and not HELLO", hello.Op)
	}
	return err
}

func (b *proxyBot) next(ctx context.Context) (p gatewayPayload, err error) {
	_, text, err := b.conn.Read(ctx)
	if err != nil {
		return p, err
	}
	err = json.Unmarshal(text, &p)
	b.mu.Lock()
	defer b.mu.Unlock()
	if p.S != nil {
		b.seq = *p.S
	}
	switch p.T {
	case "READY":
		var d struct {
			ID  string `json:"session_id"`
			URL string `json:"resume_gateway_url"`
		}
		err = errors.Join(err, json.Unmarshal(p.D, &d))
		b.session, b.resume = d.ID, d.URL
		b.readies++
	case "RESUMED":
		b.resumed++
	}
	return p, err
}

// await reads until a dispatch of that name.
func (b *proxyBot) await(ctx context.Context, event string) error {
	for {
		p, err := b.next(ctx)
		if err != nil {
			return err
		}
		if p.T == event {
			return nil
		}
		if p.Op == 9 {
			return errors.New("op 9")
		}
	}
}

func (b *proxyBot) identify(ctx context.Context) error {
	text := fmt.Sprintf(`{"op":2,"d":{"token":%q,"intents":0,"properties":{},"shard":[%d,%d]}}`, b.token, b.shard, b.shards)
	return b.conn.Write(ctx, websocket.MessageText, []byte(text))
}

func (b *proxyBot) sendResume(ctx context.Context) error {
	text := fmt.Sprintf(`{"op":6,"d":{"token":%q,"session_id":%q,"seq":%d}}`, b.token, b.session, b.seq)
	return b.conn.Write(ctx, websocket.MessageText, []byte(text))
}

// ready connects, identifies and waits for READY.
func (b *proxyBot) ready(ctx context.Context, address string) error {
	return errors.Join(b.dial(ctx, address), b.identify(ctx), b.await(ctx, "READY"))
}

// live is a bot as libraries are: it identifies once, and from then on resumes whenever
// its connection ends, until ctx does.
func (b *proxyBot) live(t *testing.T, ctx context.Context, address string) {
	for ctx.Err() == nil {
		err := func() error {
			if b.session == "" {
				if err := b.dial(ctx, address); err != nil {
					return err
				}
				if err := b.identify(ctx); err != nil {
					return err
				}
			} else {
				if err := b.dial(ctx, b.resume); err != nil {
					return err
				}
				if err := b.sendResume(ctx); err != nil {
					return err
				}
			}
			for {
				if p, err := b.next(ctx); err != nil {
					return err
				} else if p.Op == 9 {
					return errors.New("op 9")
				}
			}
		}()
		if b.conn != nil {
			_ = b.conn.CloseNow() // It has ended.
		}
		code := websocket.CloseStatus(err)
		assert.Contains(t, []websocket.StatusCode{-1, 4000}, code, "shard %d: %v", b.shard, err)
		assert.NotEqual(t, "op 9", err.Error(), "shard %d", b.shard)
		select {
		case <-time.After(50 * time.Millisecond): // libraries wait longer
		case <-ctx.Done():
		}
	}
}

func (b *proxyBot) counts() (readies, resumed int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.readies, b.resumed
}

// play has so many shards of a bot live at an address until the test ends.
func play(t *testing.T, shards int, address string) []*proxyBot {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	bots := make([]*proxyBot, shards)
	for i := range bots {
		bots[i] = newBot(i, shards)
		all.Go(func() { bots[i].live(t, ctx, address) })
	}
	t.Cleanup(func() { cancel(); all.Wait() })
	return bots
}

// judged wants so many identifies, all of them in order.
func judged(t *testing.T, d *gatewaytest.Server, identifies int) {
	t.Helper()
	v := d.Judge().Verdict()
	require.True(t, v.OK(), "%v", v)
	require.Equal(t, identifies, v.Identifies)
}

// closeCode reads up to the close frame.
func (b *proxyBot) closeCode(ctx context.Context) websocket.StatusCode {
	for {
		if _, err := b.next(ctx); err != nil {
			return websocket.CloseStatus(err)
		}
	}
}
