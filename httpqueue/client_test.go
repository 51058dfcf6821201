package httpqueue_test

// The clients: what they make of servers that stop, fail and lie.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/httpqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/balancetest"
	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// A server is killed with all its waiters; at the other one they stand where
// they stood, before those who came later.
func TestPlacesSurviveAServerThatIsKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds of real time")
	}
	t.Parallel()
	// A client that is between two polls as its turn comes is passed over, which a busy machine
	// makes likely: one of some attempts has all in order.
	for n := 1; ; n++ {
		want, got := killAServer(t)
		if n == 5 || slices.Equal(want, got) {
			require.Equal(t, want, got)
			return
		}
		t.Log("again: somebody was passed over between two polls: ", got)
	}
}

func killAServer(t *testing.T) (want, got []int) {
	const window = time.Second
	limit := gatewayqueue.SessionStartLimit{Total: 1000, Remaining: 1000, MaxConcurrency: 1}
	server := role{Redis: redistest.Start(t).Addr, Limit: limit, Window: window, Margin: -1}
	a, b := start(t, server), start(t, server)
	lb := balancetest.Start(t, a.address, a.address)
	dial := func(address string) *httpqueue.Client {
		c, err := httpqueue.NewClient("http://" + address)
		require.NoError(t, err)
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	moving, staying := dial(lb.Addr), dial(b.address)
	first, err := staying.Acquire(t.Context(), 0) // closes the bucket
	require.NoError(t, err)

	order := make(chan int, 8)
	ask := func(c *httpqueue.Client, shard int) {
		go func() {
			if err := c.Wait(t.Context(), shard); assert.NoError(t, err, "shard %d", shard) {
				order <- shard
			}
		}()
	}
	arrived := func(n int) {
		for {
			status, err := staying.Status(t.Context())
			require.NoError(t, err)
			if status.Waiting() == n {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	for shard := 8; shard > 0; shard -= 2 { // higher shards first, so that only arrival can explain the order
		ask(moving, shard)
		arrived(len(want) + 1)
		ask(staying, shard-1)
		arrived(len(want) + 2)
		want = append(want, shard, shard-1)
	}
	lb.Replace(0, b.address)
	lb.Replace(1, b.address)
	require.NoError(t, a.cmd.Process.Kill())
	time.Sleep(4 * time.Second) // for the killed one's lease, and the clients to come again
	first8 := func() string {
		arrived(8)
		status, err := staying.Status(t.Context())
		require.NoError(t, err)
		return status.Buckets[0].Line[0].Ticket
	}
	// Between two polls nobody stands in line, and the first may poll each 0.1 s: so just after one has come.
	for before, end := first8(), time.Now().Add(300*time.Millisecond); first8() == before && time.Now().Before(end); {
		time.Sleep(2 * time.Millisecond)
	}
	require.NoError(t, first.Abandon(t.Context()))
	for range want {
		select {
		case shard := <-order:
			got = append(got, shard)
		case <-time.After(30 * time.Second):
			t.Fatal("granted so far: ", got)
		}
	}
	return want, got
}

func TestATicketIsGivenEarlyAndKeepsThePlace(t *testing.T) {
	server := redistest.Start(t)
	queue, err := redisqueue.New(server.Client(t), redisqueue.WithFreshStart())
	require.NoError(t, err)
	defer queue.Close()
	s := serveTCP(t, queue)
	require.NoError(t, queue.Wait(t.Context(), 0))
	start := time.Now()
	r := s.do(t, "POST", "/v1/permits", `{"shard":1,"early_ticket":true,"max_wait_ms":60000}`)
	require.Equal(t, http.StatusAccepted, r.status)
	require.Equal(t, true, r.body["keeps_place"])
	require.Less(t, time.Since(start), 4*time.Second)
	ticket := r.body["ticket"].(string)
	r = s.do(t, "POST", "/v1/permits", `{"shard":1,"max_wait_ms":100,"ticket":"`+ticket+`"}`)
	require.Equal(t, ticket, r.body["ticket"], "the same place")
	r = s.do(t, "POST", "/v1/permits", `{"shard":2,"max_wait_ms":100,"ticket":"`+ticket+`"}`)
	require.Equal(t, http.StatusBadRequest, r.status, "it is another shard's")
}

func TestAPermitOfOneServerIsSettledAtAnother(t *testing.T) {
	redisServer := redistest.Start(t)
	var sites []*site
	var queues []*redisqueue.RedisQueue
	for range 2 {
		queue, err := redisqueue.New(redis.NewClient(&redis.Options{Addr: redisServer.Addr}), redisqueue.WithFreshStart())
		require.NoError(t, err)
		t.Cleanup(func() { _ = queue.Close() })
		queues = append(queues, queue)
		sites = append(sites, serveTCP(t, queue, httpqueue.WithBearerToken("shared")))
	}
	auth := "Authorization: Bearer shared"
	r := sites[0].do(t, "POST", "/v1/permits", `{"shard":0}`, auth)
	require.Equal(t, http.StatusCreated, r.status)
	require.InDelta(t, 0, r.body["bucket"], 0)
	at := r.header.Get("Location")
	require.NoError(t, queues[0].Close(), "its server is gone")
	r = sites[1].do(t, "PUT", at, "", auth)
	require.Equal(t, http.StatusOK, r.status, r.text)
	require.Greater(t, r.body["good_for_ms"], 4000.)
	r = sites[1].do(t, "GET", at, "", auth)
	require.Equal(t, true, r.body["held"])
	require.Equal(t, http.StatusNoContent, sites[1].do(t, "POST", at+"/identified", "", auth).status)
	require.Equal(t, http.StatusNoContent, sites[1].do(t, "POST", at+"/identified", "", auth).status, "again is harmless")
	require.Equal(t, http.StatusGone, sites[1].do(t, "PUT", at, "", auth).status)
	status, err := queues[1].Status(t.Context())
	require.NoError(t, err)
	require.False(t, status.Buckets[0].Permit)
	require.Equal(t, 999, status.Budget.Remaining)
}

// The client never takes anything but its server's word for a grant.
func TestClientsDistrustOtherAnswers(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"404":      func(w http.ResponseWriter, _ *http.Request) { http.NotFound(w, nil) },
		"a page":   func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>It works!</html>") },
		"nothing":  func(http.ResponseWriter, *http.Request) {},
		"original": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, granted) },
		"redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) },
		"no ID":    func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"shard":0}`) },
		"another":  func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"shard":1,"id":"x"}`) },
	} {
		server := httptest.NewServer(answer)
		defer server.Close()
		c, err := httpqueue.NewClient(server.URL)
		require.NoError(t, err)
		_, err = c.Acquire(t.Context(), 0)
		require.Error(t, err, name)
		if name != "no ID" {
			require.Error(t, c.Wait(t.Context(), 0), name)
		}
		require.NoError(t, c.Close())
	}
}

// unsteady answers what it is told, one after the other, and then grants.
func unsteady(t *testing.T, statuses ...int) (*httptest.Server, *atomic.Int32) {
	t.Helper()
	var calls atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := int(calls.Add(1))
		if n > len(statuses) {
			if r.Method == http.MethodPost && r.URL.Path != "/v1/permits" && r.URL.Path != "/some/path" {
				w.WriteHeader(http.StatusNoContent) // the report
				return
			}
			_, _ = io.WriteString(w, `{"shard":0,"id":"x","good_for_ms":4950}`)
			return
		}
		if statuses[n-1] == 0 {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(statuses[n-1])
	}))
	t.Cleanup(server.Close)
	return server, &calls
}

func TestClientAsksAgainAfterWhatPasses(t *testing.T) {
	t.Parallel()
	server, calls := unsteady(t, 0, 502, 503, 504, 408, 429)
	c, err := httpqueue.NewClient(server.URL)
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, c.Wait(t.Context(), 0))
	require.EqualValues(t, 8, calls.Load(), "the grant, and its report")
}

func TestLegacyClientTakesOnlyA200ForAGrant(t *testing.T) {
	server, calls := unsteady(t, 0, 404, 503, 302, 204)
	c, err := httpqueue.NewLegacyClient(server.URL + "/some/path?x=y")
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, c.Wait(t.Context(), 7))
	require.EqualValues(t, 6, calls.Load())
}

func TestLegacyClientSendsWhatTheOriginalReads(t *testing.T) {
	queue := &counted{PermitQueue: inMemory(t, full(0))}
	s := serveTCP(t, queue)
	c, err := httpqueue.NewLegacyClient(s.url+"/?shard=9&x=y", httpqueue.WithHTTPClient(s.client))
	require.NoError(t, err)
	require.NoError(t, c.Wait(t.Context(), 7))
	require.Equal(t, []int{7}, queue.grants())
	require.ErrorIs(t, c.Wait(t.Context(), -1), gatewayqueue.ErrInvalid)
}

// A page at the end of a redirect is no grant, with the caller's own http.Client too.
func TestClients_FollowNoRedirect(t *testing.T) {
	follows := func(*http.Request, []*http.Request) error { return nil }
	for name, opts := range map[string][]httpqueue.ClientOption{
		"the package's client":  nil,
		"one of Go's defaults":  {httpqueue.WithHTTPClient(&http.Client{})},
		"one that wants to":     {httpqueue.WithHTTPClient(&http.Client{CheckRedirect: follows})},
		"Go's, which all share": {httpqueue.WithHTTPClient(http.DefaultClient)},
	} {
		for _, status := range []int{301, 302, 303, 307, 308} {
			t.Run(fmt.Sprintf("%s/%d", name, status), func(t *testing.T) {
				var asked, followed atomic.Int32
				server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/elsewhere" {
						followed.Add(1)
						_, _ = io.WriteString(w, `{"shard":0,"id":"x","good_for_ms":4950}`)
						return
					}
					asked.Add(1)
					http.Redirect(w, r, "/elsewhere", status)
				}))
				t.Cleanup(server.Close)

				legacy, err := httpqueue.NewLegacyClient(server.URL, opts...)
				require.NoError(t, err)
				t.Cleanup(func() { require.NoError(t, legacy.Close()) })
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				answer := make(chan error, 1)
				go func() { answer <- legacy.Wait(ctx, 0) }()
				require.Eventually(t, func() bool { return asked.Load() >= 2 || followed.Load() > 0 }, time.Minute, time.Millisecond)
				cancel()
				require.ErrorIs(t, <-answer, context.Canceled)

				client, err := httpqueue.NewClient(server.URL, opts...)
				require.NoError(t, err)
				t.Cleanup(func() { require.NoError(t, client.Close()) })
				_, err = client.Acquire(t.Context(), 0)
				require.ErrorContains(t, err, strconv.Itoa(status))
				require.Zero(t, followed.Load(), "the end of a redirect was asked")
			})
		}
	}
	require.Nil(t, http.DefaultClient.CheckRedirect, "the caller's client is changed")
}

func TestLegacyClientLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queue := inMemory(t, full(1))
		require.NoError(t, queue.Wait(t.Context(), 0))
		s := serve(t, queue)
		c, err := httpqueue.NewLegacyClient(s.url, httpqueue.WithHTTPClient(s.client))
		require.NoError(t, err)
		ctx, cancel := context.WithCancelCause(t.Context())
		weary := errors.New("weary")
		answer := make(chan error, 1)
		go func() { answer <- c.Wait(ctx, 0) }()
		synctest.Wait()
		require.Equal(t, 1, waiting(t, queue))
		cancel(weary)
		err = <-answer
		require.ErrorIs(t, err, weary)
		require.ErrorIs(t, err, context.Canceled)
		synctest.Wait()
		require.Zero(t, waiting(t, queue))

		go func() { answer <- c.Wait(t.Context(), 0) }()
		synctest.Wait()
		require.NoError(t, c.Close())
		require.ErrorIs(t, <-answer, gatewayqueue.ErrClosed)
		require.ErrorIs(t, c.Wait(t.Context(), 0), gatewayqueue.ErrClosed)
		synctest.Wait()
		require.Zero(t, waiting(t, queue))
	})
}

func TestClientWaitsWhileNoServerAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		require.NoError(t, l.Close())
		transport := &http.Transport{DialContext: l.Dial}
		for name, dial := range map[string]func() (gatewayqueue.Queue, error){
			"v1": func() (gatewayqueue.Queue, error) {
				return httpqueue.NewClient("http://user:secret@queue.test", httpqueue.WithHTTPClient(&http.Client{Transport: transport}))
			},
			"legacy": func() (gatewayqueue.Queue, error) {
				return httpqueue.NewLegacyClient("http://user:secret@queue.test", httpqueue.WithHTTPClient(&http.Client{Transport: transport}))
			},
		} {
			c, err := dial()
			require.NoError(t, err)
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			defer cancel()
			err = c.Wait(ctx, 0)
			require.ErrorIs(t, err, context.DeadlineExceeded, name)
			require.ErrorContains(t, err, "connection refused", name)
			require.NotContains(t, err.Error(), "secret", name)
			require.NotContains(t, err.Error(), "queue.test", name)
		}
	})
}

// mute is a server that takes requests and never answers.
func TestACallerIsNotHeldUpByAServerThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		l := newPipes()
		server := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang })}
		go func() { _ = server.Serve(l) }()
		transport := &http.Transport{DialContext: l.Dial}
		c, err := httpqueue.NewClient("http://queue.test", httpqueue.WithHTTPClient(&http.Client{Transport: transport}))
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Minute, cancel)
		start := time.Now()
		require.ErrorIs(t, c.Wait(ctx, 0), context.Canceled)
		require.LessOrEqual(t, time.Since(start), time.Minute+time.Second)
		close(hang)
		require.NoError(t, server.Close())
		require.NoError(t, c.Close())
	})
}

// late answers hold a grant up on its way to the client.
func TestAGrantThatWasLongOnItsWayIsConfirmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queue := inMemory(t, full(1))
		s := serve(t, queue)
		slow := roundTripper(func(r *http.Request) (*http.Response, error) {
			resp, err := s.client.Transport.RoundTrip(r)
			if r.Method == http.MethodPost && r.URL.Path == "/v1/permits" {
				time.Sleep(4 * time.Second)
			}
			return resp, err
		})
		c, err := httpqueue.NewClient(s.url, httpqueue.WithHTTPClient(&http.Client{Transport: slow}))
		require.NoError(t, err)
		defer c.Close()
		permit, err := c.Acquire(t.Context(), 0)
		require.NoError(t, err)
		require.Greater(t, time.Until(permit.Deadline()), 4*time.Second, "it was renewed")
		require.NoError(t, permit.Identified(t.Context()))
		require.Equal(t, 99999, remaining(t, queue))
	})
}

// How long the answer was on its way, nobody knows: all of it may be gone.
func TestADeadlineCountsFromWhenTheRequestWasSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, inMemory(t, full(1)))
		slow := roundTripper(func(r *http.Request) (*http.Response, error) {
			resp, err := s.client.Transport.RoundTrip(r)
			time.Sleep(2 * time.Second)
			return resp, err
		})
		c, err := httpqueue.NewClient(s.url, httpqueue.WithHTTPClient(&http.Client{Transport: slow}))
		require.NoError(t, err)
		defer c.Close()
		sent := time.Now()
		permit, err := c.Acquire(t.Context(), 0)
		require.NoError(t, err)
		const good = gatewayqueue.IdentifyDelay - gatewayqueue.IdentifiedMargin
		require.Equal(t, good, permit.Deadline().Sub(sent))
		for end := sent.Add(20 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
			require.LessOrEqual(t, time.Until(permit.Deadline()), good-2*time.Second)
		}
		require.NoError(t, permit.Abandon(t.Context()))
	})
}

func TestAGrantThatCameTooLateIsNotUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queue := inMemory(t, full(1))
		s := serve(t, queue)
		polls := 0
		slow := roundTripper(func(r *http.Request) (*http.Response, error) {
			resp, err := s.client.Transport.RoundTrip(r)
			if r.Method == http.MethodPost && r.URL.Path == "/v1/permits" {
				if polls++; polls == 1 {
					time.Sleep(20 * time.Second) // its lease has ended
				}
			}
			return resp, err
		})
		c, err := httpqueue.NewClient(s.url, httpqueue.WithHTTPClient(&http.Client{Transport: slow}))
		require.NoError(t, err)
		defer c.Close()
		permit, err := c.Acquire(t.Context(), 0)
		require.NoError(t, err)
		require.GreaterOrEqual(t, polls, 2)
		require.True(t, time.Now().Before(permit.Deadline()))
		require.NoError(t, permit.Abandon(t.Context()))
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A permit ends when nobody renews it, as its holder sees from its Deadline.
func TestAPermitEndsWhenTheServerIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, inMemory(t, full(1)))
		c := s.dial(t)
		permit, err := c.Acquire(t.Context(), 0)
		require.NoError(t, err)
		time.Sleep(30 * time.Second)
		require.True(t, time.Now().Before(permit.Deadline()), "it is renewed")
		require.NoError(t, s.server.Close())
		time.Sleep(5 * time.Second)
		require.False(t, time.Now().Before(permit.Deadline()))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, permit.Identified(ctx), context.DeadlineExceeded)
		time.Sleep(time.Minute) // for what repeats the report
	})
}

func TestClientCallsGoOnAndOffWithAStrangeProxy(t *testing.T) {
	// A proxy with little patience: it cuts every poll after 300 ms.
	queue := inMemory(t, full(1), memqueue.WithWindow(time.Second), memqueue.WithMargin(0))
	s := serveTCP(t, queue)
	require.NoError(t, queue.Wait(t.Context(), 0))
	hasty := roundTripper(func(r *http.Request) (*http.Response, error) {
		ctx, cancel := context.WithTimeout(r.Context(), 300*time.Millisecond)
		resp, err := s.client.Transport.RoundTrip(r.WithContext(ctx))
		if err != nil {
			cancel()
			return nil, fmt.Errorf("the proxy cuts it: %w", err)
		}
		resp.Body = struct {
			io.Reader
			io.Closer
		}{resp.Body, closer(func() error { cancel(); return nil })}
		return resp, nil
	})
	c, err := httpqueue.NewClient(s.url, httpqueue.WithHTTPClient(&http.Client{Transport: hasty}))
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, c.Wait(t.Context(), 0))
	require.True(t, strings.HasPrefix(s.url, "http://127.0.0.1"))
}

type closer func() error

func (f closer) Close() error { return f() }
