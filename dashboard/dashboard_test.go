package dashboard_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/dashboard"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
)

// looks is a queue that can only be looked at, and counts how often.
type looks struct {
	mu     sync.Mutex
	status gatewayqueue.Status
	err    error
	count  atomic.Int64
}

func (l *looks) Status(context.Context) (gatewayqueue.Status, error) {
	l.count.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.status, l.err
}

func (l *looks) show(s gatewayqueue.Status, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.status, l.err = s, err
}

func TestPageLoadsNothingFromElsewhereAndRunsOnlyItsOwnScript(t *testing.T) {
	board := dashboard.New(&looks{})
	defer board.Close()
	for _, path := range []string{"/", "/dashboard", "/dashboard/", "/a/b/"} {
		got := httptest.NewRecorder()
		board.ServeHTTP(got, httptest.NewRequest(http.MethodGet, path, http.NoBody))
		assert.Equal(t, http.StatusOK, got.Code)
		assert.Equal(t, "text/html; charset=utf-8", got.Header().Get("Content-Type"))
		policy := got.Header().Get("Content-Security-Policy")
		assert.Contains(t, policy, "default-src 'none'")
		assert.Contains(t, policy, "frame-ancestors 'none'")
		assert.NotContains(t, policy, "unsafe")
		body := got.Body.String()
		assert.NotContains(t, body, "src=\"", "an asset")
		assert.NotContains(t, body, "innerHTML", "names of pods are text, never markup")
		assert.NotContains(t, body, "/*script*/")
	}
}

func TestItOnlyReads(t *testing.T) {
	board := dashboard.New(&looks{})
	defer board.Close()
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete} {
		got := httptest.NewRecorder()
		board.ServeHTTP(got, httptest.NewRequest(method, "/dashboard", http.NoBody))
		assert.Equal(t, http.StatusMethodNotAllowed, got.Code)
	}
}

// event is what a stream brings, as far as tests look at it.
type event struct {
	About, Page string
	State       *struct {
		App      string
		Waiting  int
		Up       *int
		Progress struct {
			Up, Of int
			Eta    int64
		}
		Buckets []struct {
			Opens  int64
			Holder *struct {
				Shard int
				Pod   string
				Text  string
			}
		}
	}
	Grants []struct {
		ID, Bucket, Shard int
		Permit            bool
	}
	Trouble string
}

// stream opens one and returns its events.
func stream(t *testing.T, url string) <-chan event {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/dashboard/events", http.NoBody)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode)
	assert.Equal(t, "text/event-stream", resp.Header.Get("Content-Type"))
	t.Cleanup(func() { cancel(); resp.Body.Close() })
	events := make(chan event, 100)
	go func() {
		defer close(events)
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			if data, found := strings.CutPrefix(lines.Text(), "data: "); found {
				var e event
				if !assert.NoError(t, json.Unmarshal([]byte(data), &e)) {
					return
				}
				events <- e
			}
		}
	}()
	return events
}

func next(t *testing.T, events <-chan event) event {
	t.Helper()
	select {
	case e, ok := <-events:
		require.True(t, ok, "the stream ended")
		return e
	case <-time.After(10 * time.Second):
		require.Fail(t, "no event")
		return event{}
	}
}

func TestViewersHearOfChangesAndAllShareOnePoll(t *testing.T) {
	queue := &looks{}
	at := time.Now()
	snapshot := gatewayqueue.Status{
		App: "1234", Time: at, Budget: gatewayqueue.BudgetStatus{Total: 10, Remaining: 9, MaxConcurrency: 1},
		Buckets: []gatewayqueue.BucketStatus{{Waiting: 1, Closed: 5 * time.Second, Holder: "00000@web-1-00aabbcc#1",
			Line: []gatewayqueue.Place{{Ticket: "00001@web-2-00aabbcc#1"}}}},
	}
	queue.show(snapshot, nil)
	board := dashboard.New(queue, dashboard.WithInterval(20*time.Millisecond))
	server := httptest.NewServer(board)
	defer server.Close()
	defer board.Close()

	var viewers []<-chan event
	for range 20 {
		viewers = append(viewers, stream(t, server.URL))
	}
	for _, v := range viewers {
		first := next(t, v)
		require.NotNil(t, first.State)
		assert.Equal(t, "1234", first.State.App)
		assert.Equal(t, "web-1", first.State.Buckets[0].Holder.Pod, "without its tail")
		require.Len(t, first.Grants, 1)
		assert.Equal(t, 0, first.Grants[0].Shard)
	}
	queue.show(gatewayqueue.Status{}, errors.New("Redis is away"))
	for _, v := range viewers {
		e := next(t, v)
		assert.Equal(t, "Redis is away", e.Trouble)
		assert.Equal(t, "1234", e.State.App, "what was there stays")
		assert.Empty(t, e.Grants, "no grant is told twice")
	}
	before, start := queue.count.Load(), time.Now()
	time.Sleep(200 * time.Millisecond)
	most := int64(time.Since(start)/(20*time.Millisecond)) + 2
	assert.LessOrEqual(t, queue.count.Load()-before, most, "however many view, one looks")
}

func TestStream_TheFirstEventSaysWhatServesAndWhoIsUp(t *testing.T) {
	queue := &looks{}
	queue.show(gatewayqueue.Status{App: "1"}, nil)
	up := atomic.Int64{}
	up.Store(-1)
	board := dashboard.New(queue, dashboard.WithInterval(20*time.Millisecond), dashboard.WithAbout("gatewayqueue, in memory"),
		dashboard.WithUp(func() int { return int(up.Load()) }))
	server := httptest.NewServer(board)
	defer server.Close()
	defer board.Close()
	events := stream(t, server.URL)
	first := next(t, events)
	assert.Equal(t, "gatewayqueue, in memory", first.About)
	assert.NotEmpty(t, first.Page)
	assert.Nil(t, first.State.Up, "it does not know yet")
	up.Store(0)
	second := next(t, events)
	require.NotNil(t, second.State.Up)
	assert.Zero(t, *second.State.Up, "0 is known")
	assert.Empty(t, second.About+second.Page)
}

// A window that runs out between two looks, with somebody waiting for it, is looked at
// as soon as its next grant is made; and a page hears each second that its picture is
// fresh, though nothing changes.
func TestPoll_LooksWhenAWindowHasRunOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queue := &looks{}
		start := time.Now()
		queue.show(gatewayqueue.Status{Time: start, Buckets: []gatewayqueue.BucketStatus{{Closed: 300 * time.Millisecond, Waiting: 1, Shards: []int{7}}}}, nil)
		board := dashboard.New(queue)
		client := newPipeServer(t, board)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://queue/events", http.NoBody)
		require.NoError(t, err)
		resp, err := client.Do(req)
		require.NoError(t, err)
		seen := make(chan string, 100)
		go func() {
			for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
				if strings.HasPrefix(lines.Text(), "event: seen") {
					seen <- lines.Text()
				}
			}
		}()
		time.Sleep(340 * time.Millisecond)
		synctest.Wait()
		assert.EqualValues(t, 1, queue.count.Load())
		time.Sleep(20 * time.Millisecond)
		synctest.Wait()
		assert.EqualValues(t, 2, queue.count.Load(), "50 ms after the window")
		time.Sleep(10 * time.Second)
		synctest.Wait()
		assert.InDelta(t, 10, len(seen), 1)
		resp.Body.Close()
		require.NoError(t, board.Close())
	})
}

func TestAQuietQueueSendsNothingAndNobodyLooksWhenNobodyViews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queue := &looks{}
		queue.show(gatewayqueue.Status{App: "1"}, nil)
		board := dashboard.New(queue)
		inBubble := newPipeServer(t, board)
		ctx, cancel := context.WithCancel(t.Context())
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://queue/events", http.NoBody)
		require.NoError(t, err)
		resp, err := inBubble.Do(req)
		require.NoError(t, err)
		var text strings.Builder
		var mu sync.Mutex
		go func() {
			for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
				mu.Lock()
				text.WriteString(lines.Text() + "\n")
				mu.Unlock()
			}
		}()
		time.Sleep(59 * time.Second)
		synctest.Wait()
		mu.Lock()
		assert.Equal(t, 1, strings.Count(text.String(), `"state"`), text.String())
		assert.Equal(t, 3, strings.Count(text.String(), "event: seen"), "proxies must not take it for dead")
		mu.Unlock()
		assert.InDelta(t, 118, queue.count.Load(), 2)

		cancel()
		resp.Body.Close()
		time.Sleep(time.Second)
		before := queue.count.Load()
		time.Sleep(time.Hour)
		assert.Equal(t, before, queue.count.Load())

		past, stop := context.WithCancel(t.Context())
		go board.Run(past)
		time.Sleep(time.Minute)
		assert.InDelta(t, before+24, queue.count.Load(), 2, "Run looks twice in a window")
		stop()
		time.Sleep(3 * time.Second)
		before = queue.count.Load()
		time.Sleep(time.Hour)
		assert.Equal(t, before, queue.count.Load())
		require.NoError(t, board.Close())
	})
}

// newPipeServer serves h without a network, for virtual time.
func newPipeServer(t *testing.T, h http.Handler) *http.Client {
	t.Helper()
	listener := pipes{make(chan net.Conn), make(chan struct{})}
	server := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	go server.Serve(listener) //nolint:errcheck // It ends with Close.
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe()
		listener.conns <- there
		return here, nil
	}}
	t.Cleanup(func() { transport.CloseIdleConnections(); server.Close() })
	return &http.Client{Transport: transport}
}

type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}
func (p pipes) Close() error   { close(p.done); return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

func TestViewersBeyondTheLimitAreToldToComeBack(t *testing.T) {
	board := dashboard.New(&looks{}, dashboard.WithViewers(1))
	server := httptest.NewServer(board)
	defer server.Close()
	defer board.Close()
	next(t, stream(t, server.URL))
	resp, err := http.Get(server.URL + "/events")
	require.NoError(t, err)
	defer resp.Body.Close()
	assert.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
	assert.NotEmpty(t, resp.Header.Get("Retry-After"))
}

func TestCloseEndsStreams(t *testing.T) {
	board := dashboard.New(&looks{})
	server := httptest.NewServer(board)
	defer server.Close()
	events := stream(t, server.URL)
	next(t, events)
	require.NoError(t, board.Close())
	select {
	case _, ok := <-events:
		assert.False(t, ok)
	case <-time.After(10 * time.Second):
		assert.Fail(t, "the stream goes on")
	}
	resp, err := http.Get(server.URL + "/events")
	require.NoError(t, err)
	defer resp.Body.Close()
	assert.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
	_, err = io.Copy(io.Discard, resp.Body)
	assert.NoError(t, err)
	require.NoError(t, board.Close(), "again")
}

func TestManyViewersComeAndGo(t *testing.T) {
	queue, err := memqueue.New(gatewayqueue.DefaultLimit(), memqueue.WithWindow(10*time.Millisecond), memqueue.WithMargin(0))
	require.NoError(t, err)
	board := dashboard.New(queue, dashboard.WithInterval(time.Millisecond))
	server := httptest.NewServer(board)
	defer server.Close()
	defer board.Close()
	var all sync.WaitGroup
	for n := range 30 {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(20+n)*time.Millisecond)
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s/%d/events", server.URL, n), http.NoBody)
			if !assert.NoError(t, err) {
				return
			}
			if resp, err := http.DefaultClient.Do(req); err == nil {
				_, _ = io.Copy(io.Discard, resp.Body) // Until its time is over.
				resp.Body.Close()
			}
		})
		_ = queue.Wait(t.Context(), n) // It is granted.
	}
	all.Wait()
}
