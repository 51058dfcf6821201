package httpqueue_test

// What stands between a client and its server: it cuts, retries, loses, delays
// and answers by itself.

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/httpqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/elapsed/elapsedtest"
)

func post(ctx context.Context, s *site, path, body string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.client.Do(req)
	if err == nil {
		_ = resp.Body.Close()
	}
	return resp, err
}

// between is one request's way to the servers of a fleet.
type between struct {
	fleet *fleet
	n     int           // requests so far
	polls *atomic.Int32 // of all requests
}

// pass sends a request to a server, and returns the answer once it has come in
// full.
func (b *between) pass(r *http.Request, server int) (*http.Response, error) {
	r = r.Clone(r.Context())
	return b.fleet.sites[server%len(b.fleet.sites)].client.Transport.RoundTrip(r)
}

func answerOf(r *http.Request, status int, kind, body string) *http.Response {
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {kind}, "Server": {"strange-proxy"}}, Body: io.NopCloser(strings.NewReader(body)),
	}
}

var errCut = errors.New("connection reset by peer")

func isPoll(r *http.Request) bool { return r.Method == http.MethodPost && r.URL.Path == "/v1/permits" }

// cutAfter ends what takes longer, as the proxy says.
func (b *between) cutAfter(d time.Duration, server int, say func(*http.Request) (*http.Response, error)) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		ctx, cancel := context.WithTimeout(r.Context(), d)
		defer cancel()
		resp, err := b.pass(r.WithContext(ctx), server)
		if err != nil && r.Context().Err() == nil {
			return say(r)
		}
		if err != nil {
			return nil, err
		}
		text, err := io.ReadAll(resp.Body)
		resp.Body = io.NopCloser(bytes.NewReader(text))
		return resp, err
	}
}

func TestClient_WhateverStandsBetween(t *testing.T) {
	lost := func(*http.Request) (*http.Response, error) { return nil, errCut }
	page := func(status int) func(*http.Request) (*http.Response, error) {
		return func(r *http.Request) (*http.Response, error) {
			return answerOf(r, status, "text/html", "<html>sorry</html>"), nil
		}
	}
	for name, way := range map[string]func(b *between, r *http.Request) (*http.Response, error){
		"one server after the other": func(b *between, r *http.Request) (*http.Response, error) { return b.pass(r, b.n) },
		"cut after 30 s with 504": func(b *between, r *http.Request) (*http.Response, error) {
			return b.cutAfter(30*time.Second, b.n, page(504))(r)
		},
		"cut after 3 s with 502": func(b *between, r *http.Request) (*http.Response, error) {
			return b.cutAfter(3*time.Second, b.n, page(502))(r)
		},
		"cut after 1 s, no answer": func(b *between, r *http.Request) (*http.Response, error) {
			return b.cutAfter(time.Second, b.n, lost)(r)
		},
		"cut after 2 s with 200": func(b *between, r *http.Request) (*http.Response, error) {
			return b.cutAfter(2*time.Second, b.n, page(200))(r)
		},
		"cut after 2 s with 524": func(b *between, r *http.Request) (*http.Response, error) {
			return b.cutAfter(2*time.Second, b.n, page(524))(r)
		},
		"every third answer is lost": func(b *between, r *http.Request) (*http.Response, error) {
			lose := b.n%3 == 2
			resp, err := b.pass(r, b.n)
			if err == nil && lose {
				_ = resp.Body.Close()
				return nil, errCut
			}
			return resp, err
		},
		"every poll is sent twice, to two servers, and the first answer lost": func(b *between, r *http.Request) (*http.Response, error) {
			if !isPoll(r) {
				return b.pass(r, b.n)
			}
			text, err := io.ReadAll(r.Body)
			if err != nil {
				return nil, err
			}
			again := func() *http.Request {
				c := r.Clone(r.Context())
				c.Body = io.NopCloser(bytes.NewReader(text))
				return c
			}
			if resp, err := b.cutAfter(3*time.Second, 0, lost)(again()); err == nil {
				_ = resp.Body.Close()
			}
			return b.pass(again(), 1)
		},
		"every fourth answer is a page of 200": func(b *between, r *http.Request) (*http.Response, error) {
			if b.n%4 == 3 {
				return page(200)(r)
			}
			return b.pass(r, b.n)
		},
		"a page of 403 in the middle": func(b *between, r *http.Request) (*http.Response, error) {
			if b.n == 2 || b.n == 3 {
				return page(403)(r)
			}
			return b.pass(r, b.n)
		},
		"answers are held up for 1 s": func(b *between, r *http.Request) (*http.Response, error) {
			resp, err := b.pass(r, b.n)
			time.Sleep(time.Second)
			return resp, err
		},
		"requests are held up for 1 s": func(b *between, r *http.Request) (*http.Response, error) {
			time.Sleep(time.Second)
			return b.pass(r, b.n)
		},
		"answers to polls are held up for 3 s, and 20 s once": func(b *between, r *http.Request) (*http.Response, error) {
			resp, err := b.pass(r, b.n)
			if isPoll(r) {
				if b.polls.Add(1) == 2 {
					time.Sleep(17 * time.Second)
				}
				time.Sleep(3 * time.Second)
			}
			return resp, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t, 2)
				require.NoError(t, f.queues[0].Wait(t.Context(), 100)) // begins the period, closes the bucket
				before := f.left(t)
				var requests, polls atomic.Int32
				c, err := httpqueue.NewClient("http://queue.test", httpqueue.WithHTTPClient(&http.Client{
					Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
						return way(&between{fleet: f, n: int(requests.Add(1)), polls: &polls}, r)
					}),
				}))
				require.NoError(t, err)
				defer c.Close()
				// Six others are in line first, so that polls grow old.
				for shard := range 6 {
					go func() { _ = f.queues[1].Wait(t.Context(), 10+shard) }()
				}
				time.Sleep(100 * time.Millisecond)
				require.NoError(t, c.Wait(t.Context(), 1))
				returned := time.Now()
				require.NoError(t, f.queues[0].Wait(t.Context(), 2))
				assert.GreaterOrEqual(t, time.Since(returned), gatewayqueue.IdentifyDelay, "the window")
				permit, err := c.Acquire(t.Context(), 3)
				require.NoError(t, err)
				time.Sleep(3 * time.Second)
				require.True(t, time.Now().Before(permit.Deadline()))
				identified := time.Now()
				require.NoError(t, permit.Identified(t.Context()))
				require.NoError(t, f.queues[0].Wait(t.Context(), 4))
				assert.GreaterOrEqual(t, time.Since(identified), gatewayqueue.IdentifyDelay)
				time.Sleep(time.Minute)
				assert.Equal(t, before-6-4, f.left(t), "each has paid once")
			})
		})
	}
}

// At an address where no server has ever answered, it says who does.
func TestClient_SaysWhoAnswersInsteadOfTheServer(t *testing.T) {
	for status, kind := range map[int]string{200: "text/html", 201: "application/json", 403: "text/html", 404: "text/plain", 500: "text/html"} {
		c, err := httpqueue.NewClient("http://queue.test", httpqueue.WithHTTPClient(&http.Client{
			Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				return answerOf(r, status, kind, map[bool]string{true: "{}", false: "<html>"}[status == 201]), nil
			}),
		}))
		require.NoError(t, err)
		err = c.Wait(t.Context(), 0)
		require.Error(t, err)
		if status != 201 { // JSON is what it is
			assert.ErrorContains(t, err, "strange-proxy")
		}
		assert.ErrorContains(t, err, "something")
		require.NoError(t, c.Close())
	}
}

// The age of a grant is bounded on each leg, however slow they are.
func TestClient_AWaitIsNeverOlderThanItsWindow(t *testing.T) {
	for name, delay := range map[string]func(r *http.Request) (before, after time.Duration){
		"the poll's answer":        func(r *http.Request) (_, after time.Duration) { return 0, onlyIf(isPoll(r), 2*time.Second) },
		"the poll's answer, later": func(r *http.Request) (_, after time.Duration) { return 0, onlyIf(isPoll(r), 4*time.Second) },
		"the report":               func(r *http.Request) (before, _ time.Duration) { return onlyIf(!isPoll(r), 3*time.Second), 0 },
		"the report's answer":      func(r *http.Request) (_, after time.Duration) { return 0, onlyIf(!isPoll(r), 3*time.Second) },
		"all of them":              func(*http.Request) (before, after time.Duration) { return time.Second, time.Second },
	} {
		for where, open := range map[string]func(t *testing.T) (*site, gatewayqueue.Queue){
			" in memory": func(t *testing.T) (*site, gatewayqueue.Queue) { q := inMemory(t, full(1)); return serve(t, q), q },
			" on Redis":  func(t *testing.T) (*site, gatewayqueue.Queue) { f := newFleet(t, 1); return f.sites[0], f.queues[0] },
		} {
			t.Run(name+where, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s, queue := open(t)
					slow := roundTripper(func(r *http.Request) (*http.Response, error) {
						before, after := delay(r)
						time.Sleep(before)
						resp, err := s.client.Transport.RoundTrip(r)
						time.Sleep(after)
						return resp, err
					})
					c, err := httpqueue.NewClient(s.url, httpqueue.WithHTTPClient(&http.Client{Transport: slow}))
					require.NoError(t, err)
					defer c.Close()
					for range 3 {
						require.NoError(t, c.Wait(t.Context(), 0))
						returned := time.Now()
						require.NoError(t, queue.Wait(t.Context(), 1))
						assert.GreaterOrEqual(t, time.Since(returned), gatewayqueue.IdentifyDelay)
					}
				})
			})
		}
	}
}

func onlyIf(yes bool, d time.Duration) time.Duration {
	if yes {
		return d
	}
	return 0
}

// A machine that sleeps knows so from other clocks than the one its timers go by.
func TestClient_ASuspensionCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, inMemory(t, full(1)))
		var sleeps, renewed bool
		c, err := httpqueue.NewClient(s.url, httpqueue.WithHTTPClient(&http.Client{
			Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				resp, err := s.client.Transport.RoundTrip(r)
				if sleeps && isPoll(r) {
					sleeps = false
					elapsedtest.Suspend(t, 12*time.Second)
				}
				renewed = renewed || r.Method == http.MethodPut
				return resp, err
			}),
		}))
		require.NoError(t, err)
		defer c.Close()
		permit, err := c.Acquire(t.Context(), 0)
		require.NoError(t, err)
		require.True(t, time.Now().Before(permit.Deadline()))
		elapsedtest.Suspend(t, 12*time.Second)
		require.False(t, time.Now().Before(permit.Deadline()), "it is renewed before it is used")
		require.NoError(t, permit.Abandon(t.Context()))
		renewed, sleeps = false, true
		require.NoError(t, c.Wait(t.Context(), 0))
		require.True(t, renewed, "how it stands is asked first")
	})
}

// A Wait that has told the server of an IDENTIFY, and then finds itself too late
// for it, is another wait from then on: its caller never hears of that.
func TestClient_AWaitThatWasTooLateBeginsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 1)
		require.NoError(t, f.queues[0].Wait(t.Context(), 0)) // so that the wait has a ticket
		left, slow := f.left(t), true
		c, err := httpqueue.NewClient(f.sites[0].url, httpqueue.WithHTTPClient(&http.Client{
			Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				resp, err := f.sites[0].client.Transport.RoundTrip(r)
				if slow && strings.HasSuffix(r.URL.Path, "/identified") {
					slow = false
					elapsedtest.Suspend(t, 12*time.Second)
				}
				return resp, err
			}),
		}))
		require.NoError(t, err)
		defer c.Close()
		require.NoError(t, c.Wait(t.Context(), 1))
		require.Equal(t, left-2, f.left(t))
	})
}

// What a server says of a key that is not this wait's, or of a grant that ended
// before its answer, is no error of the caller's.
func TestClient_AnswersThatAreNoGrantAnyMore(t *testing.T) {
	settled := `{"type":"urn:gatewayqueue:problem:gone","title":"Gone","status":410,"reason":"settled"}`
	for name, first := range map[string]func(r *http.Request) *http.Response{
		"a key that was settled": func(r *http.Request) *http.Response {
			return answerOf(r, http.StatusGone, "application/problem+json", settled)
		},
		"a grant that has ended": func(r *http.Request) *http.Response {
			return answerOf(r, http.StatusCreated, "application/json", `{"id":"x","shard":1,"bucket":0,"good_for_ms":0}`)
		},
	} {
		for _, permit := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s, n := serve(t, inMemory(t, full(1))), 0
					c, err := httpqueue.NewClient(s.url, httpqueue.WithHTTPClient(&http.Client{
						Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
							if n++; n == 1 {
								return first(r), nil
							}
							return s.client.Transport.RoundTrip(r)
						}),
					}))
					require.NoError(t, err)
					defer c.Close()
					if !permit {
						require.NoError(t, c.Wait(t.Context(), 1))
						return
					}
					p, err := c.Acquire(t.Context(), 1)
					require.NoError(t, err)
					require.True(t, time.Now().Before(p.Deadline()))
					require.NoError(t, p.Abandon(t.Context()))
				})
			})
		}
	}
}

// How old a grant is that a machine has slept over, no legacy server can tell.
func TestLegacyClient_ASuspensionCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queue := &counted{PermitQueue: inMemory(t, full(1))}
		s, sleeps := serve(t, queue), true
		c, err := httpqueue.NewLegacyClient(s.url, httpqueue.WithHTTPClient(&http.Client{
			Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				resp, err := s.client.Transport.RoundTrip(r)
				if sleeps {
					sleeps = false
					elapsedtest.Suspend(t, 12*time.Second)
				}
				return resp, err
			}),
		}))
		require.NoError(t, err)
		defer c.Close()
		require.NoError(t, c.Wait(t.Context(), 0))
		require.Equal(t, []int{0, 0}, queue.grants(), "the first is too old")
	})
}
