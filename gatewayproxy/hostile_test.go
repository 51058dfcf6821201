// What no library sends: a clear status or close for each, and no IDENTIFY through.

package gatewayproxy_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/gatewayproxy"
	"github.com/gatewayqueue/gatewayqueue/internal/wsframe"
)

func TestHostile_Requests(t *testing.T) {
	t.Parallel()
	s, g, q := behind(t)
	usual := upgradeRequest("/?v=10", "localhost")
	with := func(line string) string { return strings.Replace(usual, "\r\n\r\n", "\r\n"+line+"\r\n\r\n", 1) }
	instead := func(of, is string) string {
		require.Contains(t, usual, of)
		return strings.Replace(usual, of, is, 1)
	}
	path := func(p string) string { return instead("/?v=10", p) }
	for name, c := range map[string]struct {
		request string
		status  int
	}{
		"a body":                           {with("Content-Length: 5") + "hello", 400},
		"a body in chunks":                 {with("Transfer-Encoding: chunked") + "5\r\nhello\r\n0\r\n\r\n", 400},
		"both lengths":                     {with("Content-Length: 5\r\nTransfer-Encoding: chunked") + "0\r\n\r\n", 400},
		"two lengths":                      {with("Content-Length: 0\r\nContent-Length: 5") + "hello", 400},
		"a length with a sign":             {with("Content-Length: +5") + "hello", 400},
		"an odd transfer coding":           {with("Transfer-Encoding: gzip, chunked"), 501},
		"HTTP/1.0":                         {instead("HTTP/1.1", "HTTP/1.0"), 505},
		"HTTP/2.0 in a line":               {instead("HTTP/1.1", "HTTP/2.0"), 505},
		"HTTP/0.9":                         {"GET /\r\n\r\n", 400},
		"h2 with prior knowledge":          {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
		"h2c":                              {instead("Upgrade: websocket\r\nConnection: Upgrade", "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\nConnection: Upgrade, HTTP2-Settings"), 426},
		"CONNECT":                          {"CONNECT gateway.discord.gg:443 HTTP/1.1\r\nHost: gateway.discord.gg:443\r\n\r\n", 405},
		"CONNECT with an upgrade":          {instead("GET /?v=10", "CONNECT gateway.discord.gg:443"), 405},
		"POST":                             {instead("GET", "POST"), 405},
		"no upgrade":                       {"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 426},
		"another upgrade":                  {instead("Upgrade: websocket", "Upgrade: websockets"), 426},
		"no Connection":                    {instead("Connection: Upgrade\r\n", ""), 426},
		"another version":                  {instead("Version: 13", "Version: 8"), 426},
		"two versions":                     {with("Sec-WebSocket-Version: 8"), 426},
		"no key":                           {instead("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", ""), 400},
		"two keys":                         {with("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), 400},
		"a short key":                      {instead("dGhlIHNhbXBsZSBub25jZQ==", "dGhl"), 400},
		"an invalid key":                   {instead("dGhlIHNhbXBsZSBub25jZQ==", "not base64, at all!!!!!!"), 400},
		"two hosts":                        {with("Host: evil.example"), 400},
		"no host":                          {instead("Host: localhost\r\n", ""), 400},
		"an empty host":                    {instead("Host: localhost", "Host: "), 400},
		"a host with a path":               {instead("Host: localhost", "Host: evil.example/x"), 400},
		"a host with a user":               {instead("Host: localhost", "Host: a:b@evil.example"), 400},
		"a host with a query":              {instead("Host: localhost", "Host: evil.example?x"), 400},
		"a host with a fragment":           {instead("Host: localhost", "Host: evil.example#x"), 400},
		"a host with a space":              {instead("Host: localhost", "Host: evil.example x"), 400},
		"a host with a backslash":          {instead("Host: localhost", `Host: evil.example\x`), 400},
		"a host with a quote":              {instead("Host: localhost", `Host: a"b`), 400},
		"a host with a percent":            {instead("Host: localhost", "Host: %65vil.example"), 400},
		"a folded header":                  {with("X-A: b\r\n c: d"), 101}, // net/http joins it
		"a header without a name":          {with(": b"), 400},
		"a space before the colon":         {with("Sec-WebSocket-Key : dGhlIHNhbXBsZSBub25jZQ=="), 400},
		"a NUL":                            {with("X-A: b\x00c"), 400},
		"a header of 2 MB":                 {with("X-A: " + strings.Repeat("b", 2<<20)), 431},
		"a target of 2 MB":                 {path("/" + strings.Repeat("b", 2<<20)), 431},
		"/resume/evil.example":             {path("/resume/evil.example"), 403},
		"/resume/ of nothing":              {path("/resume/"), 403},
		"a host that begins alike":         {path("/resume/gateway.discord.gg.evil.com"), 403},
		"a host that ends alike":           {path("/resume/evilgateway.discord.gg"), 403},
		"another of Discord's":             {path("/resume/cdn.discord.gg"), 403},
		"a port":                           {path("/resume/gateway.discord.gg:1"), 403},
		"a port and dots":                  {path("/resume/gateway.discord.gg:1/.."), 403},
		"dots":                             {path("/resume/gateway.discord.gg/../evil.example"), 403},
		"a user":                           {path("/resume/evil@gateway.discord.gg"), 403},
		"a user with a password":           {path("/resume/gateway.discord.gg:x@evil.example"), 403},
		"encoded slashes":                  {path("/resume/evil.example%2fgateway.discord.gg"), 403},
		"encoded slashes, behind":          {path("/resume/gateway.discord.gg%2f..%2fevil.example"), 403},
		"an encoded @":                     {path("/resume/x%40evil.example"), 403},
		"an encoded NUL":                   {path("/resume/gateway.discord.gg%00.evil.example"), 403},
		"an encoded line end":              {path("/resume/gateway.discord.gg%0d%0aX-A:b"), 403},
		"a line end at the end":            {path("/resume/gateway.discord.gg%0a"), 403},
		"a dot at the end":                 {path("/resume/gateway.discord.gg."), 403},
		"an address":                       {path("/resume/169.254.169.254"), 403},
		"an address in brackets":           {path("/resume/[::1]"), 403},
		"a shard that is no number":        {path("/resume/gateway.discord.gg/x"), 403},
		"a shard below 0":                  {path("/resume/gateway.discord.gg/-1"), 403},
		"more than a shard":                {path("/resume/gateway.discord.gg/1/2"), 403},
		"a shard too large":                {path("/resume/gateway.discord.gg/99999999999999999999"), 403},
		"encoding twice":                   {path("/?encoding=json&encoding=etf"), 400},
		"compress twice":                   {path("/?compress=&compress=zlib-stream"), 400},
		"v twice":                          {path("/?v=10&v=9"), 400},
		"an unknown encoding":              {path("/?encoding=xml"), 400},
		"an unknown compression":           {path("/?compress=br"), 400},
		"a semicolon":                      {path("/?v=10;encoding=etf"), 400},
		"a percent without digits":         {path("/?v=%zz"), 400},
		"a path with a percent that is no": {path("/%zz"), 400},
		"a line end in the query":          {path("/?v=10%0d%0aX-A:b"), 101},
		"an absolute target":               {path("http://evil.example/resume/evil.example"), 403},
		"the API":                          {"GET /api/v10/users/@me HTTP/1.1\r\nHost: localhost\r\n\r\n", 404},
		"the API with a dot":               {"GET /api/v10/../../gateway/bot HTTP/1.1\r\nHost: localhost\r\n\r\n", 404},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := connect(t, s.url)
			go func() { _, _ = io.WriteString(l.Conn, c.request) }() // of 2 MB not all is read
			answer, err := http.ReadResponse(l.in, nil)
			require.NoError(t, err)
			require.Equal(t, c.status, answer.StatusCode)
			if c.status == 426 {
				require.Equal(t, "websocket", answer.Header.Get("Upgrade"))
			}
			// Whatever follows is no IDENTIFY of anybody's.
			if c.status != 101 {
				_, _ = l.Write(l.frame(0x81, []byte(identify(0, 1, ""))))
			}
			_ = answer.Body.Close()
		})
	}
	t.Cleanup(func() { // behind all of them
		require.Empty(t, q.calls())
		for len(g.lines) > 0 {
			d := <-g.lines
			_ = d.SetReadDeadline(time.Now().Add(time.Millisecond))
			_, err := d.next()
			require.Error(t, err, "nothing has come to Discord")
		}
	})
}

// A bot that does not wait for the answer is read from its first frame on.
func TestHostile_PipelinedBehindTheRequest(t *testing.T) {
	t.Parallel()
	s, g, q := behind(t)
	l := connect(t, s.url)
	held := l.frame(0x81, []byte(identify(0, 1, "")))
	_, err := l.Write(append([]byte(upgradeRequest("/", "localhost")), held...))
	require.NoError(t, err)
	answer, err := http.ReadResponse(l.in, nil)
	require.NoError(t, err)
	_ = answer.Body.Close()
	require.Equal(t, 101, answer.StatusCode)
	discord := g.accepts()
	q.waits(t, 1)
	discord.nothing(30 * time.Millisecond)
	q.grant()
	discord.wantText(`"op":2`)
	q.settled(t, 1, 0)
}

// masked is a frame header of a client's that says what it likes.
func masked(first byte, length uint64, payload []byte) []byte {
	f := []byte{first}
	switch {
	case length < 126:
		f = append(f, 0x80|byte(length))
	case length <= 65535:
		f = binary.BigEndian.AppendUint16(append(f, 0x80|126), uint16(length))
	default:
		f = binary.BigEndian.AppendUint64(append(f, 0x80|127), length)
	}
	return append(append(f, 0, 0, 0, 0), payload...)
}

func TestHostile_Frames(t *testing.T) {
	t.Parallel()
	op2 := []byte(identify(0, 1, ""))
	text := func(p string) []byte { return masked(0x81, uint64(len(p)), []byte(p)) }
	token := `"token":"MTIzNDU2Nzg5MDEyMzQ1Njc4.gateway.test"`
	join := func(frames ...[]byte) []byte { return bytes.Join(frames, nil) }
	for name, c := range map[string]struct {
		frames []byte
		code   int
	}{
		"unmasked":                        {wsframe.Append(nil, wsframe.Text, op2), 1002},
		"compressed":                      {masked(0xc1, uint64(len(op2)), op2), 1002},
		"RSV2":                            {masked(0xa1, uint64(len(op2)), op2), 1002},
		"RSV3":                            {masked(0x91, uint64(len(op2)), op2), 1002},
		"a reserved opcode":               {masked(0x83, uint64(len(op2)), op2), 1002},
		"a reserved opcode of control":    {masked(0x8b, 0, nil), 1002},
		"a ping of 126 bytes":             {masked(0x89, 126, make([]byte, 126)), 1002},
		"a close of 126 bytes":            {masked(0x88, 126, make([]byte, 126)), 1002},
		"a ping in fragments":             {masked(0x09, 0, nil), 1002},
		"a close in fragments":            {masked(0x08, 0, nil), 1002},
		"a continuation of nothing":       {masked(0x80, uint64(len(op2)), op2), 1002},
		"a message within another":        {join(masked(0x01, 1, op2[:1]), masked(0x81, uint64(len(op2)), op2)), 1002},
		"a compressed continuation":       {join(masked(0x01, 1, op2[:1]), masked(0xc0, 1, op2[:1])), 1002},
		"a length of 63 bits":             {masked(0x81, 1<<63-1, nil), 4002},
		"a length of 64 bits":             {masked(0x81, 1<<64-1, nil), 1002},
		"4 GiB":                           {masked(0x81, 1<<32, nil), 4002},
		"64 KiB and a byte":               {masked(0x81, 64<<10+1, nil), 4002},
		"64 KiB in all":                   {join(masked(0x01, 40000, make([]byte, 40000)), masked(0x00, 40000, nil)), 4002},
		"many empty frames":               {join(masked(0x01, 0, nil), bytes.Repeat(masked(0x00, 0, nil), 12000)), 4002},
		"bad UTF-8":                       {text("{\"op\":2,\"d\":{\"x\":\"\xff\"}}"), 4002},
		"half a rune":                     {text("{\"op\":3,\"d\":\"\xe2\x82\"}"), 4002},
		"nothing":                         {text(""), 4002},
		"no JSON":                         {text("hello"), 4002},
		"half of a payload":               {text(`{"op":2`), 4002},
		"two payloads":                    {text(`{"op":1}{"op":2}`), 4002},
		"a list":                          {text(`[{"op":2}]`), 4002},
		"no op":                           {text(`{"d":null}`), 4002},
		"op twice":                        {text(`{"op":1,"op":2,"d":{` + token + `}}`), 4002},
		"op in capitals":                  {text(`{"op":1,"OP":2,"d":{` + token + `}}`), 4002},
		"op as a string":                  {text(`{"op":"2","d":{` + token + `}}`), 4002},
		"op as null":                      {text(`{"op":null}`), 4002},
		"op of a fraction":                {text(`{"op":2.5}`), 4002},
		"op below 0":                      {text(`{"op":-1}`), 4001},
		"op of 258":                       {text(`{"op":258,"d":{` + token + `}}`), 4001},
		"d twice":                         {text(`{"op":2,"d":null,"d":{` + token + `}}`), 4002},
		"no d":                            {text(`{"op":2}`), 4002},
		"a token twice":                   {text(`{"op":2,"d":{` + token + `,` + token + `}}`), 4002},
		"a token that is a number":        {text(`{"op":2,"d":{"token":1}}`), 4002},
		"no token":                        {text(`{"op":2,"d":{}}`), 4004},
		"a token with a line end":         {text(`{"op":2,"d":{"token":"MTIz\nNDU2.x.y"}}`), 4004},
		"a shard beyond the last":         {text(`{"op":2,"d":{` + token + `,"shard":[1,1]}}`), 4010},
		"a shard of three":                {text(`{"op":2,"d":{` + token + `,"shard":[0,1,2]}}`), 4010},
		"a shard that is too large":       {text(`{"op":2,"d":{` + token + `,"shard":[4294967296,4294967297]}}`), 4010},
		"a shard of strings":              {text(`{"op":2,"d":{` + token + `,"shard":["0","1"]}}`), 4002},
		"a NUL in a name":                 {text(`{"op\u0000":1,"op":2,"d":{` + token + `}}`), 4002},
		"a comment":                       {text(`/**/{"op":2,"d":{` + token + `}}`), 4002},
		"a BOM":                           {text("\ufeff" + `{"op":2,"d":{` + token + `}}`), 4002},
		"UTF-16":                          {masked(0x82, 8, []byte("{\x00\"\x00o\x00p\x00")), 4002},
		"depth":                           {text(`{"op":3,"d":` + strings.Repeat("[", 30000) + strings.Repeat("]", 30000) + `}`), 4002},
		"a zlib stream":                   {masked(0x82, 3, []byte{0x78, 0x9c, 0}), 4002},
		"a term in zlib":                  {masked(0x82, 8, []byte{131, 80, 0, 0, 0, 9, 0x78, 0x9c}), 4002},
		"a term that is cut":              {masked(0x82, 6, []byte{131, 116, 0, 0, 0, 9}), 4002},
		"a term with a huge map":          {masked(0x82, 6, []byte{131, 116, 255, 255, 255, 255}), 4002},
		"a term with an atom for op":      {masked(0x82, 12, []byte{131, 116, 0, 0, 0, 1, 119, 2, 'o', 'p', 97, 2}), 4002},
		"a term in a term":                {masked(0x82, 7, []byte{131, 131, 116, 0, 0, 0, 0}), 4002},
		"IDENTIFY, and then another of 5": {join(text(string(op2)), text(`{"op":2,"d":{"token":1}}`)), 4002},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, g, q := behind(t)
			l := s.raw(s.url, wire{})
			go func() { _, _ = l.Write(c.frames) }()
			require.Equal(t, c.code, l.closes())
			q.grant()
			q.grant()
			eventually(t, func() bool { return s.proxy.Stats().Connections == 0 }, "the end")
			if strings.HasPrefix(name, "IDENTIFY") {
				q.waits(t, 0)
				return
			}
			require.Empty(t, q.calls())
			d := g.accepts()
			m, err := d.next()
			require.Error(t, err, "nothing comes to Discord, and no close frame: %d %q", m.opcode, m.text)
		})
	}
}

// A payload may be as odd as Discord takes it: it passes as it is.
func TestHostile_WhatPasses(t *testing.T) {
	t.Parallel()
	s, g, _ := behind(t)
	bot := s.raw(s.url, wire{})
	discord := g.accepts()
	for _, text := range []string{
		`{"op":1,"d":null}`, `{"op":1,"d":"` + strings.Repeat("x", 5000) + `"}`, ` { "d" : 1 , "op" : 1e0 } `, `{"op":3,"d":{"op":2,"token":"x"}}`, `{"op":3,"d":"{\"op\":2}"}`,
		`{"op":8,"d":{"\u006fp":2}}`, `{"op":31}`, `{"op":255,"s":1,"t":"x"}`, `{"op":3,"d":"` + "é漢\U0001f600" + `\ud83d\ude00"}`,
		fmt.Sprintf(`{"op":4,"d":%q}`, strings.Repeat("y", 60_000)),
	} {
		bot.send(text)
		m, err := discord.next()
		require.NoError(t, err)
		require.Equal(t, text, string(m.text))
	}
}

// One byte at a time, and then none: it holds nobody else up, and ends with the proxy.
func TestHostile_SlowBots(t *testing.T) {
	t.Parallel()
	s, g, q := behind(t)
	var slow []*line
	for _, part := range [][]byte{nil, {0x81}, {0x81, 0xfe}, masked(0x81, 4000, nil), masked(0x01, 3, []byte("{\"o"))} {
		l := s.raw(s.url, wire{})
		g.accepts()
		for _, b := range part {
			l.put([]byte{b})
		}
		slow = append(slow, l)
	}
	bot, discord := holding(s, g, q, wire{})
	q.grant()
	discord.wantText(`"op":2`)
	discord.put(discord.frame(0x81, []byte(readyOf(g.url, ""))))
	bot.wantText("READY")
	require.NoError(t, bot.Close())
	for _, l := range slow { // what Discord does with them is Discord's
		_ = l.Close()
	}
	eventually(t, func() bool { return s.proxy.Stats().Connections == 0 }, "the end")
}

// The address by which a bot has come is what READY leads back to, and nothing else.
func TestHostile_HostInREADY(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"localhost:7777": "ws://localhost:7777", "proxy.example": "ws://proxy.example", "[::1]:80": "ws://[::1]:80", "a&b": "ws://a&b",
	} {
		s, g, q := behind(t)
		l := connect(t, s.url)
		l.put([]byte(upgradeRequest("/", host)))
		answer, err := http.ReadResponse(l.in, nil)
		require.NoError(t, err)
		_ = answer.Body.Close()
		require.Equal(t, 101, answer.StatusCode, host)
		discord := g.accepts()
		l.send(identify(3, 4, ""))
		q.grant()
		discord.wantText(`"op":2`)
		discord.put(discord.frame(0x81, []byte(readyOf(g.url, ""))))
		require.Contains(t, string(l.wantText("READY")), `"resume_gateway_url":"`+want+"/resume/"+strings.TrimPrefix(g.url, "ws://")+`/3"`)
		_ = l.Close()
	}
	s, g, q := behind(t, gatewayproxy.WithExternal("wss://proxy.example/gateway/"))
	bot, discord := holding(s, g, q, wire{})
	q.grant()
	discord.wantText(`"op":2`)
	discord.put(discord.frame(0x81, []byte(readyOf("wss://gateway.evil.example", ""))))
	require.Contains(t, string(bot.wantText("READY")), `"wss://gateway.evil.example"`, "a host that nobody may be connected to is not led to")
	require.Equal(t, 1, s.proxy.Stats().Unrewritten)
}
