package proxy

// The bots: they identify, and then count, time or sum up what comes.

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatewayqueue/gatewayqueue/internal/wsframe"
)

type sinkSettings struct {
	Address     string
	Authority   []byte // for TLS; none is plain TCP
	Connections int
	Zlib        bool
	Hash        bool // what comes is inflated and summed up
}

// expectation is an order: so many messages will come on each connection.
type expectation struct {
	Count   int
	Latency bool
}

type arrived struct {
	P50, P99 float64 // us
	Sum      string
}

// patience bounds every wait for what must come.
const patience = 2 * time.Minute

// token belongs to no real bot: Discord's tokens begin with the application's ID.
const token = "MTIzNDU2Nzg5MDEyMzQ1Njc4.bench.bench" //nolint:gosec // As above.

type sink struct {
	sinkSettings
	sums    []hash.Hash
	latency histogram
	timed   atomic.Bool
	left    atomic.Int64 // messages that are still to come
	done    chan error
}

func newSink(settings []byte) (orders, any, error) {
	s := &sink{done: make(chan error, 1)}
	if err := json.Unmarshal(settings, &s.sinkSettings); err != nil {
		return nil, nil, err
	}
	var config *tls.Config
	if s.Authority != nil {
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(s.Authority)
		config = &tls.Config{RootCAs: roots, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS13}
	}
	s.sums = make([]hash.Hash, s.Connections)
	var all sync.WaitGroup
	errs := make([]error, s.Connections)
	few := make(chan struct{}, 64) // dials at a time
	begin := time.Now()
	for shard := range s.Connections {
		s.sums[shard] = sha256.New()
		all.Go(func() { errs[shard] = s.dial(shard, config, few) })
	}
	all.Wait()
	took := time.Since(begin)
	return orders{
		"expect": func(raw json.RawMessage) (any, error) {
			var e expectation
			if err := json.Unmarshal(raw, &e); err != nil {
				return nil, err
			}
			s.latency.reset()
			s.timed.Store(e.Latency)
			s.left.Store(int64(e.Count) * int64(s.Connections))
			return nil, nil
		},
		"await": func(json.RawMessage) (any, error) {
			select {
			case err := <-s.done:
				return arrived{s.latency.at(0.5), s.latency.at(0.99), sumOf(s.sums)}, err
			case <-time.After(patience):
				return nil, fmt.Errorf("%d messages have not come in %v", s.left.Load(), patience)
			}
		},
	}, took, errors.Join(errs...)
}

// dial brings one bot up, and leaves it reading.
func (s *sink) dial(shard int, config *tls.Config, few chan struct{}) error {
	few <- struct{}{}
	conn, err := net.Dial("tcp", s.Address)
	if err == nil && config != nil {
		conn = tls.Client(conn, config)
	}
	var in *bufio.Reader
	if err == nil {
		in, err = s.handshake(conn, shard)
	}
	<-few
	if err != nil {
		return err
	}
	next := s.reader(in)
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	if _, err := next(); err != nil { // HELLO
		return err
	}
	identify := fmt.Sprintf(`{"op":2,"d":{"token":%q,"shard":[%d,%d],"intents":1,"properties":{"os":"linux","browser":"bench","device":"bench"}}}`, token, shard, s.Connections)
	if _, err := conn.Write(wsframe.AppendMasked(nil, wsframe.Text, []byte(identify))); err != nil {
		return err
	}
	for range prologue - 1 {
		if _, err := next(); err != nil {
			return err
		}
	}
	_ = conn.SetReadDeadline(time.Time{})
	go s.read(shard, next)
	return nil
}

func (s *sink) handshake(conn net.Conn, shard int) (*bufio.Reader, error) {
	query := "v=10&encoding=json"
	if s.Zlib {
		query += "&compress=zlib-stream"
	}
	if _, err := fmt.Fprintf(conn, "GET /?%s&bench=%d HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nUser-Agent: DiscordBot (bench, 1)\r\n\r\n", query, shard, s.Address); err != nil {
		return nil, err
	}
	in := bufio.NewReaderSize(conn, 4096)
	answer, err := http.ReadResponse(in, nil) //nolint:bodyclose // A WebSocket has none.
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusSwitchingProtocols {
		text, _ := io.ReadAll(answer.Body)
		return nil, fmt.Errorf("%s: %s", answer.Status, text)
	}
	return in, nil
}

// reader returns a function that returns the next message: its text, but of a
// compressed stream that nobody sums up.
func (s *sink) reader(in *bufio.Reader) func() ([]byte, error) {
	var buf []byte
	next := func() ([]byte, error) {
		opcode, p, err := readFrame(in, buf)
		buf = p
		if err == nil && opcode >= wsframe.Close {
			return nil, fmt.Errorf("a control frame: opcode %d, close code %d", opcode, wsframe.CloseCode(p))
		}
		return p, err
	}
	if !s.Zlib || !s.Hash {
		return next
	}
	return inflated(next)
}

// inflated reads the messages of a zlib-stream.
func inflated(next func() ([]byte, error)) func() ([]byte, error) {
	var texts *json.Decoder
	return func() ([]byte, error) {
		if texts == nil {
			stream, err := zlib.NewReader(&frames{next: next})
			if err != nil {
				return nil, err
			}
			texts = json.NewDecoder(stream)
		}
		var text json.RawMessage
		err := texts.Decode(&text)
		return text, err
	}
}

// frames is a stream of what frames carry.
type frames struct {
	next func() ([]byte, error)
	now  bytes.Reader
}

func (f *frames) Read(p []byte) (int, error) {
	for f.now.Len() == 0 {
		payload, err := f.next()
		if err != nil {
			return 0, err
		}
		f.now.Reset(payload)
	}
	return f.now.Read(p)
}

// read takes what comes until the gateway goes.
func (s *sink) read(shard int, next func() ([]byte, error)) {
	for {
		text, err := next()
		if err != nil {
			s.tell(fmt.Errorf("shard %d: %w", shard, err))
			return
		}
		if s.Hash {
			_, _ = s.sums[shard].Write(text)
		}
		if s.timed.Load() {
			sent := int64(0)
			for _, digit := range text[stampAt : stampAt+stampLen] {
				sent = sent*10 + int64(digit-'0')
			}
			s.latency.add(time.Now().UnixNano() - sent)
		}
		if s.left.Add(-1) == 0 {
			s.tell(nil)
		}
	}
}

func (s *sink) tell(err error) {
	select {
	case s.done <- err:
	default:
	}
}
