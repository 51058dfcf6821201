// Random sessions: an upstream that sends what Discord sends, and a client that
// decodes with what is not ours.

package downstream_test

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/adler32"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/gatewayproxy/internal/downstream"
	"github.com/gatewayqueue/gatewayqueue/gatewayproxy/internal/payload"
	"github.com/gatewayqueue/gatewayqueue/internal/etf"
	"github.com/gatewayqueue/gatewayqueue/internal/stored"
)

const (
	discords = "wss://gateway-us-east1-b.discord.gg"
	text     = 1
	binary2  = 2
)

// written is a payload of Discord's in JSON, whose d is given as JSON, in one of
// the orders that are known.
func written(discordsOrder bool, op int, d, event string) []byte {
	name := "null"
	if event != "" {
		name = `"` + event + `"`
	}
	if discordsOrder {
		return fmt.Appendf(nil, `{"t":%s,"s":1,"op":%d,"d":%s}`, name, op, d)
	}
	return fmt.Appendf(nil, `{"op":%d,"d":%s,"s":1,"t":%s}`, op, d, name)
}

// term is a payload of Discord's in ETF.
func term(op int, d any, event string) []byte {
	var name any
	if event != "" {
		name = etf.Atom(event)
	}
	b, err := etf.Encode(etf.Map{
		{Key: etf.Atom("t"), Value: name}, {Key: etf.Atom("s"), Value: 1}, {Key: etf.Atom("op"), Value: op}, {Key: etf.Atom("d"), Value: d},
	})
	if err != nil {
		panic(err)
	}
	return b
}

// source makes payloads whose text repeats itself at all distances.
type source struct {
	*rand.Rand
	etf     bool
	short   bool // payloads, so that there are many within what deflate reaches
	phrases []string
}

func newSource(seed uint64, asETF bool) *source {
	s := &source{Rand: rand.New(rand.NewPCG(seed, 7)), etf: asETF, short: seed%2 == 1}
	for range 120 { // 25 KB: so that they repeat at distances up to what deflate reaches
		b := make([]byte, 8+s.IntN(400))
		for i := range b {
			b[i] = "abcdefghijklmnopqrstuvwxyz 0123456789:,"[s.IntN(39)]
		}
		s.phrases = append(s.phrases, string(b))
	}
	s.phrases = append(s.phrases, discords, discords+"/?v=10", "resume_gateway_url", `resume_gateway_url\":\"`+discords)
	return s
}

// filler is size bytes, inside a JSON string.
func (s *source) filler(size int) string {
	var b strings.Builder
	for b.Len() < size {
		b.WriteString(s.phrases[s.IntN(len(s.phrases))])
	}
	return strings.TrimSuffix(b.String()[:size], `\`)
}

// size is a length of all orders of magnitude, often near the reach of deflate.
func (s *source) size() int {
	if s.short {
		return s.IntN(5000)
	}
	switch s.IntN(6) {
	case 0:
		return s.IntN(3)
	case 1, 2:
		return s.IntN(2000)
	case 3:
		return 32768 - 80 + s.IntN(160)
	case 4:
		return 16384 - 80 + s.IntN(160)
	default:
		return s.IntN(90_000)
	}
}

// event is a dispatch that nobody looks into.
func (s *source) event() []byte {
	filler := s.filler(s.size())
	if s.etf {
		return term(0, map[string]any{"x": filler, "resume_gateway_url": discords}, "MESSAGE_CREATE")
	}
	return written(s.IntN(2) == 0, 0, `{"x":"`+filler+`","resume_gateway_url":"`+discords+`"}`, "MESSAGE_CREATE")
}

// ready returns a READY with Discord's URL and the same with another.
func (s *source) ready(url string) (sent, want []byte) {
	before, behind, order, spaces := s.filler(s.size()), s.filler(s.size()), s.IntN(2) == 0, strings.Repeat(" ", s.IntN(3))
	write := func(url string) []byte {
		if s.etf {
			return term(0, etf.Map{
				{Key: "before", Value: before}, {Key: etf.Atom("user"), Value: map[string]any{"resume_gateway_url": discords}},
				{Key: "resume_gateway_url", Value: url}, {Key: "behind", Value: behind},
			}, "READY")
		}
		quoted := `"` + strings.ReplaceAll(url, `"`, `\"`) + `"`
		return written(order, 0, `{"v":10,"before":"`+before+`","user":{"resume_gateway_url":"`+discords+`"},`+spaces+
			`"resume_gateway_url"`+spaces+":"+spaces+quoted+spaces+`,"behind":"`+behind+`"}`, "READY")
	}
	return write(discords), write(url)
}

func (s *source) hello() []byte {
	if s.etf {
		return term(10, map[string]any{"heartbeat_interval": 41250}, "")
	}
	return written(true, 10, `{"heartbeat_interval":41250,"_trace":["[\"gateway-prd-us-east1-b-0568\"]"]}`, "")
}

// upstream compresses as Discord does.
type upstream struct {
	stream *zlib.Writer
	out    bytes.Buffer
}

func (s *source) upstream(compression downstream.Compression) *upstream {
	u := &upstream{}
	if compression == downstream.ZlibStream {
		u.stream, _ = zlib.NewWriterLevel(&u.out, []int{-2, 0, 1, 2, 6, 6, 6, 9}[s.IntN(8)])
	}
	return u
}

func (u *upstream) message(text []byte) []byte {
	if u.stream == nil {
		return text
	}
	u.out.Reset()
	_, _ = u.stream.Write(text)
	_ = u.stream.Flush()
	return bytes.Clone(u.out.Bytes())
}

// session is what one client received.
type session struct {
	messages [][]byte
	want     [][]byte
	passed   int // messages that nobody read
}

// options of a session.
type options struct {
	etf      bool
	client   downstream.Compression
	reach    int // 0: as it is
	rejoin   bool
	pieces   bool // messages come in parts, where there is a stream
	payloads int
}

// run plays a session: HELLO, IDENTIFY, READY, events.
func (o options) run(t *testing.T, seed uint64) session {
	t.Helper()
	var got session
	src := newSource(seed, o.etf)
	url := []string{"ws://127.0.0.1:7777/resume/gateway-us-east1-b.discord.gg", "ws://x:1/", discords, "wss://gateway-us-east1-c.discord.gg", "ws://h/?a=1&b=\"ü\""}[src.IntN(5)]
	s := downstream.New(o.etf, o.client, func(from string) string {
		require.Equal(t, discords, from)
		return url
	})
	if o.reach > 0 {
		s.SetReach(o.reach)
	}
	kind := byte(binary2)
	if o.client == downstream.None && !o.etf {
		kind = text
	}
	up := src.upstream(s.Upstream())
	// deliver sends a payload through; want is nil where nothing may come of it.
	deliver := func(sent, want []byte) downstream.Seen {
		t.Helper()
		message := up.message(sent)
		if want != nil {
			got.want = append(got.want, want)
		}
		if s.Passing() {
			got.messages, got.passed = append(got.messages, message), got.passed+1
			return downstream.Seen{}
		}
		for o.pieces && up.stream != nil && len(message) > 1 && src.IntN(2) == 0 {
			n := 1 + src.IntN(len(message)-1)
			if bytes.HasSuffix(message[:n], stored.Flush) {
				break // which Discord does not do within a payload
			}
			_, out, _, err := s.Message(kind, bytes.Clone(message[:n]))
			require.NoError(t, err)
			require.Nil(t, out)
			message = message[n:]
		}
		before := bytes.Clone(message)
		op, out, seen, err := s.Message(kind, message)
		require.NoError(t, err, "seed %d", seed)
		require.True(t, bytes.Equal(before, message), "the message was changed in its place")
		if want == nil {
			require.Nil(t, out)
		} else {
			require.Equal(t, kind, op)
			got.messages = append(got.messages, bytes.Clone(out))
		}
		return seen
	}
	hello := src.hello()
	seen := deliver(hello, hello)
	require.True(t, seen.Readable)
	require.EqualValues(t, 41_250_000_000, seen.Interval)
	payloads := o.payloads
	if src.short {
		payloads *= 3
	}
	for i := range payloads {
		if o.rejoin && src.IntN(20) == 0 && s.CanRead() {
			own := payload.Ack(o.etf)
			_, out, err := s.Inject(own)
			require.NoError(t, err)
			got.messages, got.want = append(got.messages, bytes.Clone(out)), append(got.want, own)
		}
		if !s.CanRead() && src.IntN(2) == 0 || o.rejoin && src.IntN(20) == 0 {
			s.Join()
			up = src.upstream(s.Upstream())
			require.True(t, s.CanRead())
			require.False(t, s.Passing())
			deliver(hello, nil)
		}
		if s.CanRead() && (i == 0 || src.IntN(10) == 0) {
			s.Identified()
			require.False(t, s.Passing())
			sent, want := src.ready(url)
			seen := deliver(sent, want)
			require.Equal(t, downstream.Seen{Readable: true, Event: "READY", ResumeURL: discords, Rewritten: url != discords}, seen)
			continue
		}
		event := src.event()
		deliver(event, event)
	}
	return got
}

// inflated is the text of all messages of a zlib-stream, as Go's zlib has it.
func (got session) inflated() ([]byte, error) {
	stream := append(bytes.Join(got.messages, nil), 1, 0, 0, 0xff, 0xff)
	stream = binary.BigEndian.AppendUint32(stream, adler32.Checksum(bytes.Join(got.want, nil)))
	r, err := zlib.NewReader(bytes.NewReader(stream))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// flushed is the text of the messages of a zlib-stream, whose length and sum are not
// known beforehand.
func flushed(messages [][]byte) ([]byte, error) {
	stream := append(bytes.Join(messages, nil), 1, 0, 0, 0xff, 0xff)
	return io.ReadAll(flate.NewReader(bytes.NewReader(stream[2:])))
}

// zstdTexts reads a zstd stream of raw blocks, message by message.
func (got session) zstdTexts() ([][]byte, error) {
	var texts [][]byte
	for i, m := range got.messages {
		if i == 0 {
			if !bytes.HasPrefix(m, stored.AppendZstdHeader(nil)) {
				return nil, errors.New("no header")
			}
			m = m[6:]
		}
		text := []byte{}
		for len(m) > 0 {
			if len(m) < 3 {
				return nil, errors.New("a block is cut")
			}
			header := int(m[0]) | int(m[1])<<8 | int(m[2])<<16
			n := header >> 3
			if header&7 != 0 || n > 128<<10 || len(m) < 3+n {
				return nil, fmt.Errorf("a block's header %x", header)
			}
			text, m = append(text, m[3:3+n]...), m[3+n:]
		}
		texts = append(texts, text)
	}
	return texts, nil
}
