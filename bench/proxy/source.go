package proxy

// The gateway: a WebSocket over TLS that says HELLO, judges IDENTIFY, says READY, and
// then plays its tape when it is told to.

import (
	"bufio"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
	"github.com/gatewayqueue/gatewayqueue/internal/wsframe"
)

type sourceSettings struct {
	Zlib, Mixed    bool
	Counts         [2]int
	Connections    int
	MaxConcurrency int
	Window         time.Duration
}

type sourceHello struct {
	Address   string
	Authority []byte // PEM
}

// play is an order: of one part of the tape, so many messages to each connection.
type play struct {
	Part, Count int
	Rate        int // messages a second of each connection; 0 is as fast as they go
}

type played struct {
	Took time.Duration
	Sum  string // of what was sent, where it was as fast as it goes
}

// mostTapes bounds how many streams there are; connections share them.
const mostTapes = 16

type source struct {
	sourceSettings
	judge *gatewaytest.Judge
	tapes []*tape

	mu    sync.Mutex
	lines map[int]*line // by shard
}

// line is one connection.
type line struct {
	conn  net.Conn
	shard int
	tape  *tape
	frame []byte // the one that is written
}

func newSource(settings []byte) (orders, any, error) {
	s := &source{lines: map[int]*line{}}
	if err := json.Unmarshal(settings, &s.sourceSettings); err != nil {
		return nil, nil, err
	}
	limit := gatewayqueue.DefaultLimit()
	limit.Total, limit.Remaining, limit.MaxConcurrency = 1_000_000, 1_000_000, s.MaxConcurrency
	s.judge = gatewaytest.NewJudge(limit, s.Window)
	config, authority, err := certificate()
	if err != nil {
		return nil, nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	address := listener.Addr().String()
	for i := range min(s.Connections, mostTapes) {
		t, err := record(s.sourceSettings, uint64(i), address)
		if err != nil {
			return nil, nil, err
		}
		s.tapes = append(s.tapes, t)
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go s.serve(tls.Server(conn, config))
		}
	}()
	return orders{
		"play": func(raw json.RawMessage) (any, error) {
			var p play
			if err := json.Unmarshal(raw, &p); err != nil {
				return nil, err
			}
			if p.Rate == 0 {
				return s.flood(p)
			}
			return s.pace(p)
		},
		"violations": func(json.RawMessage) (any, error) { return s.judge.Verdict().Violations, nil },
	}, sourceHello{address, authority}, nil
}

// serve is one connection, until the bot goes.
func (s *source) serve(conn net.Conn) {
	defer conn.Close() //nolint:errcheck // Its bot is gone.
	in := bufio.NewReaderSize(conn, 1024)
	request, err := http.ReadRequest(in)
	if err != nil {
		return
	}
	if _, err := io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "+
		acceptOf(request.Header.Get("Sec-Websocket-Key"))+"\r\n\r\n"); err != nil {
		return
	}
	// All tapes begin alike, but for what a compressor makes of it; so which one it is
	// is told by the bot, in the URL.
	var shard int
	if _, err := fmt.Sscan(request.URL.Query().Get("bench"), &shard); err != nil {
		return
	}
	l := &line{conn: conn, shard: shard, tape: s.tapes[shard%len(s.tapes)]}
	if _, err := conn.Write(l.tape.hello); err != nil {
		return
	}
	for {
		opcode, text, err := readFrame(in, nil)
		if err != nil {
			return
		}
		if opcode != wsframe.Text || !strings.Contains(string(text), `"op":2,`) {
			continue
		}
		s.judge.Identify(shard)
		if _, err := conn.Write(l.tape.ready); err != nil {
			return
		}
		s.mu.Lock()
		s.lines[shard] = l
		s.mu.Unlock()
	}
}

// all are the connections, in order.
func (s *source) all() ([]*line, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.lines) != s.Connections {
		return nil, fmt.Errorf("%d connections of %d", len(s.lines), s.Connections)
	}
	list := make([]*line, 0, len(s.lines))
	for _, l := range s.lines {
		list = append(list, l)
	}
	slices.SortFunc(list, func(a, b *line) int { return a.shard - b.shard })
	return list, nil
}

// pace sends each message at its time, evenly spread over the connections.
func (s *source) pace(p play) (any, error) {
	lines, err := s.all()
	if err != nil {
		return nil, err
	}
	gap := time.Second / time.Duration(p.Rate*len(lines))
	begin := time.Now()
	due := time.Duration(0)
	for i := range p.Count {
		for _, l := range lines {
			for wait := due - time.Since(begin); wait > 0; wait = due - time.Since(begin) {
				time.Sleep(wait)
			}
			due += gap
			l.take(l.tape.parts[p.Part][i])
			if !s.Zlib {
				l.stamp(time.Now().UnixNano())
			}
			if _, err := l.conn.Write(l.frame); err != nil {
				return nil, err
			}
		}
	}
	return played{Took: time.Since(begin)}, nil
}

// flood sends as fast as the connections take it, and sums up what was sent.
func (s *source) flood(p play) (any, error) {
	lines, err := s.all()
	if err != nil {
		return nil, err
	}
	begin := time.Now()
	var all sync.WaitGroup
	sums := make([]hash.Hash, len(lines))
	errs := make([]error, len(lines))
	for at, l := range lines {
		sums[at] = sha256.New()
		all.Go(func() {
			for i, frame := range l.tape.parts[p.Part][:p.Count] {
				l.take(frame)
				text := l.tape.plain[p.Part][i]
				if !s.Zlib { // each message is unlike all others
					l.stamp(int64(l.shard+1)*1e12 + int64(i) + 1e18)
					text = l.frame[len(l.frame)-len(text):]
				}
				_, _ = sums[at].Write(text)
				if _, err := l.conn.Write(l.frame); err != nil {
					errs[at] = err
					return
				}
			}
		})
	}
	all.Wait()
	return played{time.Since(begin), sumOf(sums)}, errors.Join(errs...)
}

func (l *line) take(frame []byte) { l.frame = append(l.frame[:0], frame...) }

// stamp writes a number of 19 digits into the frame that goes next.
func (l *line) stamp(n int64) {
	h, _ := wsframe.Parse(l.frame)
	at := h.Size + stampAt
	for i := at + stampLen - 1; i >= at; i-- {
		l.frame[i] = byte('0' + n%10)
		n /= 10
	}
}

// sumOf is one sum of many.
func sumOf(sums []hash.Hash) string {
	total := sha256.New()
	for _, s := range sums {
		_, _ = total.Write(s.Sum(nil))
	}
	return hex.EncodeToString(total.Sum(nil))
}
