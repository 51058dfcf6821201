package httpqueue_test

// Whatever arrives: no panic, and no grant on the wire without one of the queue.

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/httpqueue"
)

// fickle grants every other time, and counts its grants.
type fickle struct {
	mu            sync.Mutex
	calls, grants int
}

func (q *fickle) Wait(_ context.Context, shard int) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if shard < 0 {
		panic("a negative shard")
	}
	if q.calls++; q.calls%2 == 0 {
		return gatewayqueue.ErrInvalid
	}
	q.grants++
	return nil
}

func (q *fickle) Acquire(ctx context.Context, shard int) (gatewayqueue.Permit, error) {
	if err := q.Wait(ctx, shard); err != nil {
		return nil, err
	}
	return unlimited{}, nil
}

func (q *fickle) granted() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.grants
}

type unlimited struct{}

func (unlimited) Identified(context.Context) error { return nil }
func (unlimited) Abandon(context.Context) error    { return nil }
func (unlimited) Deadline() time.Time              { return time.Now().Add(time.Minute) }

// wiretap is a server that is sent bytes.
type wiretap struct {
	queue *fickle
	pipes *pipes
	logs  *lines
}

type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func tap(f *testing.F) *wiretap {
	f.Helper()
	w := &wiretap{queue: new(fickle), pipes: newPipes(), logs: new(lines)}
	handler, err := httpqueue.NewHandler(w.queue, httpqueue.WithGrantMargin(0))
	if err != nil {
		f.Fatal(err)
	}
	server := httpqueue.NewServer(handler)
	server.ErrorLog = log.New(w.logs, "", 0)
	go func() { _ = server.Serve(httpqueue.Quiet(w.pipes)) }()
	f.Cleanup(func() { _ = server.Close() })
	return w
}

// exchange sends a text, hangs up, and returns all that came back.
func (w *wiretap) exchange(t *testing.T, text string) string {
	conn, err := w.pipes.Dial(context.Background(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var answer strings.Builder
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(&answer, conn)
	}()
	_ = conn.SetDeadline(time.Now().Add(100 * time.Millisecond)) // a server that waits for more gets nothing
	if _, err := io.WriteString(conn, text); err != nil {
		var timeout net.Error
		if !errors.Is(err, io.ErrClosedPipe) && !errors.As(err, &timeout) {
			t.Fatal(err)
		}
	}
	<-read
	return answer.String()
}

func (w *wiretap) check(t *testing.T, answer string, before int) {
	if strings.Contains(w.logs.String(), "panic serving") {
		t.Fatal(w.logs)
	}
	grants := w.queue.granted() - before
	answers := strings.Count(answer, "HTTP/1.1 2") // others are for those who are no gateway-queue's client for certain
	if answers > grants {
		t.Fatalf("%d answers for %d grants: %q", answers, grants, answer)
	}
}

// FuzzLegacyBytes sends bytes that need not be HTTP.
func FuzzLegacyBytes(f *testing.F) {
	w := tap(f)
	for _, seed := range []string{
		"GET /?shard=0 HTTP/1.1\r\nHost: q\r\n\r\n", "POST /x?shard=1 HTTP/1.1\r\nHost: q\r\nContent-Length: 2\r\n\r\nab",
		"OPTIONS * HTTP/1.1\r\nHost: q\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET / HTTP/1.1\r\nHost: q\r\nExpect: x\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: q\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na", "GET /\x00 HTTP/1.1\r\n\r\n", "\x16\x03\x01",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "/v1") {
			t.Skip("not the legacy route")
		}
		before := w.queue.granted()
		w.check(t, w.exchange(t, text), before)
	})
}

// FuzzLegacyRequests sends requests whose parts are arbitrary.
func FuzzLegacyRequests(f *testing.F) {
	w := tap(f)
	f.Add("GET", "/", "shard=0", "X", "y", "")
	f.Add("POST", "/a/b", "shard=-1&shard=%zz", "Content-Type", "application/json", `{"shard":1}`)
	f.Add("BREW", "//", ";;&&==", "Expect", "100-continue", "x")
	f.Fuzz(func(t *testing.T, method, path, query, name, value, body string) {
		if strings.Contains(method+path+query+name+value+body, "/v1") {
			t.Skip("not the legacy route")
		}
		before := w.queue.granted()
		w.check(t, w.exchange(t, method+" "+path+"?"+query+" HTTP/1.1\r\nHost: q\r\n"+name+": "+value+"\r\nConnection: close\r\nContent-Length: "+
			strconv.Itoa(len(body))+"\r\n\r\n"+body), before)
	})
}

// FuzzAPI sends bodies and paths to /v1: what is not granted is no success.
func FuzzAPI(f *testing.F) {
	w := tap(f)
	f.Add("POST", "permits", `{"shard":0,"max_wait_ms":5,"key":"k","ticket":"t","early_ticket":true,"deadline_ms":5}`)
	f.Add("POST", "identifies?shard=1", "")
	f.Add("PUT", "limits", `{"total":1,"remaining":1,"reset_after":1,"max_concurrency":1}`)
	f.Add("DELETE", "permits/AAAA", "")
	f.Add("POST", "sandwich", `{"shard_id":1}`)
	f.Add("PUT", "permits/dGVzdA/identified", `[]`)
	f.Fuzz(func(t *testing.T, method, path, body string) {
		before := w.queue.granted()
		answer := w.exchange(t, method+" /v1/"+path+" HTTP/1.1\r\nHost: q\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: "+
			strconv.Itoa(len(body))+"\r\n\r\n"+body)
		if strings.Contains(w.logs.String(), "panic serving") {
			t.Fatal(w.logs)
		}
		created := strings.Contains(answer, "HTTP/1.1 201 ") || strings.Contains(answer, "HTTP/1.1 204 ") ||
			strings.HasPrefix(path, "identifies") && strings.Contains(answer, "HTTP/1.1 200 ")
		if created && w.queue.granted() == before {
			t.Fatalf("a success without a grant: %q", answer)
		}
	})
}
