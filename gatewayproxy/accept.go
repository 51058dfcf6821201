// The opening handshakes: the bot's with the proxy, and the proxy's with Discord.
// https://www.rfc-editor.org/rfc/rfc6455#section-4

package gatewayproxy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // The protocol asks for it; nothing is secured by it.
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gatewayqueue/gatewayqueue/gatewayproxy/internal/downstream"
	"github.com/gatewayqueue/gatewayqueue/internal/gatewayconn"
)

const (
	// handshakeTimeout bounds a dial with TLS and the answer to the request. It is
	// shorter than the patience of libraries, of which JDA has the least, 10 s.
	handshakeTimeout = 8 * time.Second

	// mostAnswer bounds what is read of an answer that is no connection.
	mostAnswer = 64 << 10
)

// wishes are what a bot asks for in its URL.
type wishes struct {
	etf         bool
	compression downstream.Compression
	query       string // for Discord
}

// refused is a request that is answered with a status of the proxy's own.
type refused struct {
	status int
	why    string
}

func (e *refused) Error() string { return e.why }

// wishesOf reads the query of a bot's URL. What is not certain is refused: another
// reader may take the other of two values, and the proxy would not know IDENTIFY
// from what it reads.
func wishesOf(raw string) (wishes, error) {
	no := func(format string, args ...any) (wishes, error) {
		return wishes{}, &refused{http.StatusBadRequest, fmt.Sprintf(format, args...)}
	}
	query, err := url.ParseQuery(raw)
	if err != nil {
		return no("the query of the URL cannot be read: %v", err)
	}
	for _, name := range []string{"encoding", "compress", "v"} {
		if len(query[name]) > 1 {
			return no("%s is given twice in the URL: want one value", name)
		}
	}
	w := wishes{query: raw}
	switch encoding := query.Get("encoding"); encoding {
	case "", "json":
	case "etf":
		w.etf = true
	default:
		return no("encoding is %q: want json or etf", encoding)
	}
	switch compress := query.Get("compress"); compress {
	case "":
	case "zlib-stream":
		w.compression = downstream.ZlibStream
	case "zstd-stream":
		w.compression = downstream.ZstdStream
		query.Set("compress", "zlib-stream") // see package downstream
		w.query = query.Encode()
	default:
		return no("compress is %q: want zlib-stream, zstd-stream, or none", compress)
	}
	return w, nil
}

// checkUpgrade refuses what is no opening handshake of a WebSocket.
func checkUpgrade(r *http.Request) error {
	no := func(status int, why string) error { return &refused{status, why} }
	key := r.Header.Values("Sec-Websocket-Key")
	switch {
	case !r.ProtoAtLeast(1, 1) || r.ProtoMajor != 1:
		return no(http.StatusHTTPVersionNotSupported, "a WebSocket here begins with HTTP/1.1")
	case r.Method != http.MethodGet:
		return no(http.StatusMethodNotAllowed, "a WebSocket begins with GET")
	case r.ContentLength != 0 || len(r.TransferEncoding) > 0:
		return no(http.StatusBadRequest, "the request of a WebSocket has no body")
	case !hasWord(r.Header, "Connection", "upgrade") || !hasWord(r.Header, "Upgrade", "websocket"):
		return no(http.StatusUpgradeRequired, "this is a gateway proxy: connect to it with a WebSocket")
	case r.Header.Get("Sec-Websocket-Version") != "13" || len(r.Header.Values("Sec-Websocket-Version")) > 1:
		return no(http.StatusUpgradeRequired, "Sec-WebSocket-Version: want 13")
	case len(key) != 1:
		return no(http.StatusBadRequest, "Sec-WebSocket-Key: want one")
	}
	if nonce, err := base64.StdEncoding.DecodeString(key[0]); err != nil || len(nonce) != 16 {
		return no(http.StatusBadRequest, "Sec-WebSocket-Key: want 16 bytes in base64")
	}
	return nil
}

// hasWord reports whether a header that lists words has one.
func hasWord(h http.Header, name, word string) bool {
	for _, line := range h.Values(name) {
		for w := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(w), word) {
				return true
			}
		}
	}
	return false
}

// acceptOf is the answer to a key.
func acceptOf(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // As above.
	return base64.StdEncoding.EncodeToString(sum[:])
}

// ours are headers of one connection only, which are not passed on.
var ours = map[string]bool{
	"Connection": true, "Upgrade": true, "Host": true, "Keep-Alive": true, "Te": true, "Trailer": true, "Transfer-Encoding": true,
	"Proxy-Authorization": true, "Proxy-Connection": true, "Proxy-Authenticate": true, "Content-Length": true, "Expect": true,
	"Sec-Websocket-Key": true, "Sec-Websocket-Accept": true, "Sec-Websocket-Version": true, "Sec-Websocket-Extensions": true,
}

// passed are the headers that go through.
func passed(from http.Header) http.Header {
	to := make(http.Header, len(from))
	for name, values := range from {
		if !ours[name] {
			to[name] = values
		}
	}
	for _, line := range from.Values("Connection") { // and those that it names
		for name := range strings.SplitSeq(line, ",") {
			to.Del(strings.TrimSpace(name))
		}
	}
	return to
}

// upgraded is a connection to a gateway that has answered the handshake.
type upgraded struct {
	conn   net.Conn
	rest   []byte      // what came behind the answer; up to readSize bytes
	header http.Header // of the answer, as far as it is passed on
}

// answered is a gateway's answer that is no connection.
type answered struct {
	status int
	header http.Header
	body   []byte
}

func (e *answered) Error() string {
	return fmt.Sprintf("the gateway answers %d %s", e.status, http.StatusText(e.status))
}

// dial connects to a gateway. The error is [answered] where it has answered
// something else than a connection.
func (p *Proxy) dial(ctx context.Context, to gateway, query string, header http.Header) (_ *upgraded, err error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	conn, err := p.dialer.Dial(ctx, "tcp", to.addr, to.secure)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = conn.Close()
		}
	}()
	// What blocks ends with ctx; what has been made does not.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) }) //nolint:errcheck // It is closed, then.
	in := bufio.NewReaderSize(conn, readSize)
	answer, err := handshake(conn, in, to, query, header)
	if !stop() {
		if err == nil {
			err = context.Cause(ctx)
		}
		return nil, fmt.Errorf("the gateway's answer: %w", errors.Join(context.Cause(ctx), err))
	}
	if err != nil {
		return nil, err
	}
	rest, _ := in.Peek(in.Buffered()) //nolint:errcheck // So much is there.
	return &upgraded{conn, rest, passed(answer)}, nil
}

func handshake(conn net.Conn, in *bufio.Reader, to gateway, query string, header http.Header) (http.Header, error) {
	var nonce [16]byte
	_, _ = rand.Read(nonce[:]) // It never fails.
	key := base64.StdEncoding.EncodeToString(nonce[:])
	req := &http.Request{
		Method: http.MethodGet, URL: &url.URL{Path: "/", RawQuery: query}, Host: to.host,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: header.Clone(),
	}
	if req.Header == nil {
		req.Header = http.Header{}
	}
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", "") // none, rather than Go's
	}
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "websocket")
	req.Header.Set("Sec-Websocket-Version", "13")
	req.Header.Set("Sec-Websocket-Key", key)
	if err := req.Write(conn); err != nil {
		return nil, err
	}
	answer, err := http.ReadResponse(in, req)
	if err != nil {
		return nil, fmt.Errorf("the gateway's answer: %w", err)
	}
	switch {
	case answer.StatusCode < 200 && answer.StatusCode != http.StatusSwitchingProtocols, answer.StatusCode/100 == 3:
		// A library that follows it would leave the proxy.
		return nil, fmt.Errorf("the gateway answers %s, which is not passed on", answer.Status)
	case answer.StatusCode != http.StatusSwitchingProtocols:
		body, _ := io.ReadAll(io.LimitReader(answer.Body, mostAnswer)) //nolint:errcheck // What there is of it.
		_ = answer.Body.Close()                                        //nolint:errcheck // Read only.
		return nil, &answered{answer.StatusCode, passed(answer.Header), body}
	case !hasWord(answer.Header, "Upgrade", "websocket") || answer.Header.Get("Sec-Websocket-Accept") != acceptOf(key):
		return nil, errors.New("the gateway's answer is no WebSocket's: its Sec-WebSocket-Accept is wrong")
	case answer.Header.Get("Sec-Websocket-Extensions") != "":
		return nil, errors.New("the gateway uses an extension of WebSockets that nobody asked for")
	}
	return answer.Header, nil
}

// accept answers a bot's handshake, and takes its connection over. What net/http had
// for it, a reader and two writers of 4 KiB each, is let go.
func accept(w http.ResponseWriter, r *http.Request, header http.Header) (net.Conn, *bufio.Reader, error) {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, nil, err
	}
	_ = conn.SetDeadline(time.Time{}) //nolint:errcheck // Of a connection that is closed: the write says so.
	var answer strings.Builder
	answer.WriteString("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
		acceptOf(r.Header.Get("Sec-Websocket-Key")) + "\r\n")
	_ = header.Write(&answer) // It never fails.
	answer.WriteString("\r\n")
	if _, err := io.WriteString(conn, answer.String()); err != nil {
		_ = conn.Close()
		return nil, nil, err
	}
	if tcp := gatewayconn.TCP(conn); tcp != nil { // a bot that is gone must not identify
		_ = tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3}) //nolint:errcheck // The system's is kept, then.
	}
	var from io.Reader = conn
	if n := rw.Reader.Buffered(); n > 0 {
		early, _ := rw.Reader.Peek(n) //nolint:errcheck // So much is there.
		from = io.MultiReader(bytes.NewReader(bytes.Clone(early)), conn)
	}
	return conn, bufio.NewReaderSize(from, clientSize), nil
}
