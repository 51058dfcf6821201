// The settings of a Server, each with its default.

package gatewaytest

import (
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

const (
	// DefaultToken is the token that a [Server] knows if it is not told
	// another. Its first part is [ApplicationID] in base64, as libraries that
	// read the application's ID from the token want it.
	DefaultToken = "MTIzNDU2Nzg5MDEyMzQ1Njc4.gateway.test"

	// ApplicationID is the ID of the application, and of its bot user, in
	// every READY.
	ApplicationID = "123456789012345678"

	// DefaultHeartbeat is the interval that Discord asks for.
	DefaultHeartbeat = 41250 * time.Millisecond
)

// Option is a setting of a [Server].
type Option func(*Server)

// WithLimit sets the limits that the server reports and enforces, as
// [NewJudge] reads them. The default is [gatewayqueue.DefaultLimit]. Change
// them later with [Judge.SetLimit].
func WithLimit(limit gatewayqueue.SessionStartLimit) Option {
	return func(s *Server) { s.limit = limit }
}

// WithWindow sets the least time between two identifies of a bucket. The
// default is [gatewayqueue.IdentifyDelay], 5 s; tests scale it down, together
// with the delays below.
func WithWindow(window time.Duration) Option {
	return func(s *Server) { s.window = window }
}

// WithToken sets the bot's token, without "Bot ". The default is
// [DefaultToken].
func WithToken(token string) Option {
	return func(s *Server) { s.token = token }
}

// WithShards sets how many shards GET /gateway/bot recommends. The default is
// 1. The server takes any number of shards, whatever it recommends.
func WithShards(n int) Option {
	return func(s *Server) { s.shards = n }
}

// WithLatency sets how long it takes from a client's request for a connection
// to HELLO: one half until the connection is open, the other until HELLO. The
// default is none.
func WithLatency(d Delay) Option {
	return func(s *Server) { s.latency = d }
}

// WithTransit sets how long a frame from a client is on its way before the
// gateway sees it, and the judge notes its time. Frames of one connection keep
// their order. The default is none.
func WithTransit(d Delay) Option {
	return func(s *Server) { s.transit = d }
}

// WithReadyDelay sets how long after IDENTIFY its READY comes. The default is
// none.
func WithReadyDelay(d Delay) Option {
	return func(s *Server) { s.readyDelay = d }
}

// WithHeartbeat sets the interval at which clients are told to send
// heartbeats; it must be at least 1 ms. A connection without one for two
// intervals is closed (4009), and its session ends. The default is
// [DefaultHeartbeat].
func WithHeartbeat(interval time.Duration) Option {
	return func(s *Server) { s.heartbeat = interval }
}

// WithZstd makes the server speak compress=zstd-stream. Give it New of package
// gatewaytest/zstdstream, which is a module of its own:
//
//	gatewaytest.NewServer(gatewaytest.WithZstd(zstdstream.New))
//
// start is called once for each connection that asks for zstd-stream, with what
// takes the compressed bytes. Without this option such a request is answered with
// 501.
func WithZstd(start func(io.Writer) Compressor) Option {
	return func(s *Server) { s.zstd = start }
}

// WithFailure is [Server.Fail] from the start.
func WithFailure(kind Failure, when When) Option {
	return func(s *Server) { s.failures.set(kind, when) }
}

// WithLogger makes the server log what it does, at level debug, and violations
// as warnings. The default is to log nothing.
func WithLogger(logger *slog.Logger) Option {
	return func(s *Server) { s.log = logger }
}

// Delay returns how long something takes this time. It is called from many
// goroutines; nil is no delay at all.
type Delay func() time.Duration

// Fixed is the same delay every time.
func Fixed(d time.Duration) Delay {
	return func() time.Duration { return d }
}

// Between is a delay drawn evenly from [low, high]; high must not be below low.
// The same seed draws the same delays in the same order.
func Between(low, high time.Duration, seed uint64) Delay {
	draw := drawer(seed)
	return func() time.Duration {
		return low + time.Duration(draw()*float64(high-low))
	}
}

// next is the delay for this time.
func (d Delay) next() time.Duration {
	if d == nil {
		return 0
	}
	return d()
}

// drawer returns a function that draws numbers in [0, 1), safe for concurrent
// use.
func drawer(seed uint64) func() float64 {
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(seed, seed))
	return func() float64 {
		mu.Lock()
		defer mu.Unlock()
		return random.Float64()
	}
}
