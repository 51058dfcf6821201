// The settings of a Server, each with its default.

package gatewaytest

import (
	"crypto/tls"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"net"
	"strings"
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
// to HELLO: one half until the connection is open, the other until HELLO. By
// default it takes no time.
func WithLatency(d Delay) Option {
	return func(s *Server) { s.latency = d }
}

// WithTransit sets how long a frame from a client is on its way before the
// gateway sees it, and the judge notes its time. Frames of one connection keep
// their order. By default it takes no time.
func WithTransit(d Delay) Option {
	return func(s *Server) { s.transit = d }
}

// WithReadyDelay sets how long after IDENTIFY its READY comes. By default
// it comes at once.
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

// WithPayloads sets how many payloads a connection may send in any period of so
// long; one more closes it (4008). 0 is any number. Heartbeats count unless the
// server asks for them more often than every 5 s. The defaults are Discord's,
// [DefaultPayloads] in [DefaultPayloadPeriod].
func WithPayloads(most int, period time.Duration) Option {
	return func(s *Server) { s.payloads, s.payloadPeriod = most, period }
}

// WithIdentifyWithin sets how long a connection may stay after HELLO without an
// IDENTIFY or RESUME that is accepted; then it is closed (4009). If
// heartbeatsExtend, the time starts again with each heartbeat. 0 is for ever, the
// default: how long Discord waits, and what it closes with, is not documented.
func WithIdentifyWithin(within time.Duration, heartbeatsExtend bool) Option {
	return func(s *Server) { s.identifyWithin, s.heartbeatsExtend = within, heartbeatsExtend }
}

// WithLeastShards sets how many shards an IDENTIFY must give at least; fewer are
// closed with 4011, as by Discord where a shard would have 2500 guilds. The
// default is any number.
func WithLeastShards(n int) Option {
	return func(s *Server) { s.leastShards = n }
}

// WithDisallowedIntents sets the intents that the bot has not been allowed; an
// IDENTIFY with any of them is closed with 4014. By default all are allowed.
func WithDisallowedIntents(intents int64) Option {
	return func(s *Server) { s.disallowed = intents }
}

// WithReplay sets how many events that were sent a session keeps, for a RESUME
// to replay; a RESUME from before them is refused (op 9) and ends the session.
// The default is [DefaultReplay].
func WithReplay(events int) Option {
	return func(s *Server) { s.replay = events }
}

// WithSessionLife sets how long a session that has lost its connection can be
// resumed. 0 is for ever, the default; with Discord it is minutes.
func WithSessionLife(d time.Duration) Option {
	return func(s *Server) { s.sessionLife = d }
}

// WithGuilds gives every shard so many guilds. READY lists them as unavailable,
// and a GUILD_CREATE of so many bytes (as JSON, uncompressed) follows for each,
// at least about 1.8 KB; Discord's have 300 KB to 6 MB. By default there are no guilds.
func WithGuilds(perShard, bytes int) Option {
	return func(s *Server) { s.guilds, s.guildSize = perShard, bytes }
}

// WithMessages gives every session a MESSAGE_CREATE so often, from its READY on,
// with a content of so many bytes. By default it sends no messages.
func WithMessages(every time.Duration, bytes int) Option {
	return func(s *Server) { s.messagePace, s.messageContent = every, strings.Repeat("x", max(0, bytes)) }
}

// WithListener sets where the server listens, in place of a free loopback port.
// The server closes it. With a listener in memory, such as one on [net.Pipe], a
// Server works in the virtual time of testing/synctest.
func WithListener(l net.Listener) Option {
	return func(s *Server) { s.listener = l }
}

// WithTLS makes the server speak TLS, and only that: its URLs begin with https
// and wss. The default is plain HTTP.
func WithTLS(config *tls.Config) Option {
	return func(s *Server) { s.tls = config }
}

// WithResumeHost sets the name or address in resume_gateway_url, without a port.
// The default is localhost, or with [WithHostAsAsked] what that says.
func WithResumeHost(name string) Option {
	return func(s *Server) { s.resumeHost = &name }
}

// WithHostAsAsked gives clients URLs with the host and port by which they have
// come (the Host header of their request), and not with the listener's: for a
// server that is reached by other names, or through a published port.
func WithHostAsAsked() Option {
	return func(s *Server) { s.asAsked = true }
}

// WithHosts gives the server so many gateway hosts, each on a free port of its
// own, at the listener's address. Sessions live on them by turns, and resume_gateway_url leads there;
// see [Server.StopHost]. By default there is one host.
func WithHosts(n int) Option {
	return func(s *Server) { s.hostCount = n }
}

// validate checks what options have set.
func (s *Server) validate() error {
	for _, rule := range []struct {
		ok    bool
		field string
		value any
		want  string
	}{
		{s.heartbeat >= time.Millisecond, "heartbeat interval", s.heartbeat, "1 ms or more"},
		{s.payloads >= 0, "payloads", s.payloads, "0 or more"},
		{s.payloads == 0 || s.payloadPeriod > 0, "period of payloads", s.payloadPeriod, "more than 0"},
		{s.identifyWithin >= 0, "time until IDENTIFY", s.identifyWithin, "0 or more"},
		{s.replay >= 0, "events to replay", s.replay, "0 or more"},
		{s.sessionLife >= 0, "life of a session", s.sessionLife, "0 or more"},
		{0 <= s.guilds && s.guilds <= maxGuilds, "guilds of a shard", s.guilds, "0 to 2500"},
		{s.guildSize <= maxGuildSize, "bytes of a guild", s.guildSize, "at most 64 MiB"},
		{s.messagePace >= 0, "time between messages", s.messagePace, "0 or more"},
		{s.resumeHost == nil || *s.resumeHost != "", "resume host", "empty", "a name or an address"},
		{0 <= s.hostCount && s.hostCount <= maxHosts, "gateway hosts", s.hostCount, "0 to 100"},
	} {
		if !rule.ok {
			return &gatewayqueue.InvalidError{Field: rule.field, Value: rule.value, Want: rule.want}
		}
	}
	return nil
}

const (
	maxGuilds    = 2500 // as with Discord
	maxGuildSize = 64 << 20
	maxHosts     = 100
)

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

// Never is the [Delay] of what does not come at all.
func Never() time.Duration { return math.MaxInt64 }

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
