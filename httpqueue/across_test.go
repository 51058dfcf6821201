package httpqueue_test

// The sentences of docs/http.md that are about several servers, tried on two
// handlers of one Redis.

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/httpqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// fleet is a number of servers of one virtual Redis.
type fleet struct {
	redis  *miniredis.Miniredis
	sites  []*site
	queues []*redisqueue.RedisQueue
}

func newFleet(t testing.TB, servers int, opts ...httpqueue.Option) *fleet {
	t.Helper()
	f := &fleet{redis: miniredis.NewMiniRedis()}
	f.redis.ClockTTL(true)
	for range servers {
		f.add(t, opts...)
	}
	return f
}

func (f *fleet) add(t testing.TB, opts ...httpqueue.Option) *site {
	t.Helper()
	client := redis.NewClient(&redis.Options{
		Addr:                     "127.0.0.1:6379", // an IP: a name would be looked up outside the bubble
		Dialer:                   func(context.Context, string, string) (net.Conn, error) { return f.redis.Dial() },
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		DisableIdentity:          true,
	})
	t.Cleanup(func() { _ = client.Close() })
	q, err := redisqueue.New(client, redisqueue.WithFreshStart(), redisqueue.WithReserve(0), redisqueue.WithPod(fmt.Sprintf("server-%d", len(f.queues))),
		redisqueue.WithLimit(gatewayqueue.SessionStartLimit{Total: 1000, Remaining: 1000, MaxConcurrency: 1}))
	require.NoError(t, err)
	t.Cleanup(func() { _ = q.Close() })
	s := serve(t, q, opts...)
	f.queues, f.sites = append(f.queues, q), append(f.sites, s)
	return s
}

func (f *fleet) left(t testing.TB) int { return remaining(t, f.queues[0]) }

// later asks in a goroutine.
func later(t testing.TB, s *site, path, body string) <-chan reply {
	answer := make(chan reply, 1)
	go func() { answer <- s.do(t, "POST", path, body) }() //nolint:testifylint // what fails there has no answer, and the test waits for that
	return answer
}

func TestAcross_AKeyThatAsksAgainIsNotPaidTwice(t *testing.T) {
	for _, path := range []string{"/v1/permits", "/v1/identifies"} {
		for _, pause := range []time.Duration{0, time.Second, 4 * time.Second, 20 * time.Second, 55 * time.Second, 30 * time.Minute} {
			if path == "/v1/identifies" && pause > time.Minute {
				continue // see TestAcross_AKeyIsForOneWait
			}
			for second := range 2 {
				t.Run(fmt.Sprint(path, " after ", pause, " at server ", second), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						f := newFleet(t, 2)
						require.NoError(t, f.queues[0].Wait(t.Context(), 9)) // begins the period
						ask := `{"shard":1,"key":"k"}`
						first := f.sites[0].do(t, "POST", path, ask) // its answer is lost
						require.Less(t, first.status, 202, first.text)
						left := f.left(t)
						time.Sleep(pause)
						again := f.sites[second].do(t, "POST", path, ask)
						require.Equal(t, first.status, again.status, again.text)
						assert.Equal(t, left, f.left(t), "it has paid")
						if path == "/v1/permits" {
							if pause < 4500*time.Millisecond {
								assert.Equal(t, first.body["id"], again.body["id"], "the grant it had")
							}
							at := again.header.Get("Location")
							require.Equal(t, http.StatusNoContent, f.sites[1-second].do(t, "POST", at+"/identified", "").status)
							for _, s := range f.sites {
								r := s.do(t, "POST", path, ask)
								assert.Equal(t, http.StatusGone, r.status, r.text)
								assert.Equal(t, "settled", r.body["reason"], r.text)
							}
						}
						assert.Equal(t, left, f.left(t))
						require.Less(t, f.sites[second].do(t, "POST", path, `{"shard":1,"key":"another"}`).status, 202)
						assert.Equal(t, left-1, f.left(t))
					})
				})
			}
		}
	}
}

// A key that is used for everything would else identify for nothing.
func TestAcross_AKeyIsForOneWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 2)
		require.Equal(t, http.StatusOK, f.sites[0].do(t, "POST", "/v1/identifies", `{"shard":1,"key":"k"}`).status)
		require.Equal(t, http.StatusOK, f.sites[0].do(t, "POST", "/v1/identifies", `{"shard":2,"key":"k"}`).status, "another shard's")
		left := f.left(t)
		time.Sleep(2 * time.Minute)
		r := f.sites[1].do(t, "POST", "/v1/identifies", `{"shard":1,"key":"k"}`)
		require.Equal(t, http.StatusGone, r.status)
		require.Contains(t, r.body["detail"], "a new wait takes a new key")
		require.Equal(t, left, f.left(t))
		time.Sleep(2 * time.Hour)
		require.Equal(t, http.StatusOK, f.sites[1].do(t, "POST", "/v1/identifies", `{"shard":1,"key":"k"}`).status)
		require.Equal(t, left-1, f.left(t), "it is another one by now, and has paid")
	})
}

// One request after the other, to one server or the other, cut at any moment: the
// grant is paid once.
func TestAcross_PollsThatAreCutPayOnce(t *testing.T) {
	for _, cut := range []time.Duration{time.Millisecond, 300 * time.Millisecond, 2 * time.Second, 5245 * time.Millisecond, 5255 * time.Millisecond} {
		t.Run(cut.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t, 2)
				require.NoError(t, f.queues[0].Wait(t.Context(), 0))
				for n := range 6 {
					ctx, cancel := context.WithTimeout(t.Context(), cut)
					req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.sites[n%2].url+"/v1/permits?shard=1", http.NoBody)
					require.NoError(t, err)
					if resp, err := f.sites[n%2].client.Do(req); err == nil {
						_ = resp.Body.Close()
					}
					cancel()
				}
				time.Sleep(time.Minute)
				left := f.left(t) // those without a key may have had one each
				for n := range 6 {
					ctx, cancel := context.WithTimeout(t.Context(), cut)
					c := f.sites[n%2]
					go func() { _, _ = post(ctx, c, "/v1/permits", `{"shard":1,"key":"k"}`) }()
					<-ctx.Done()
					cancel()
				}
				r := f.sites[0].do(t, "POST", "/v1/permits", `{"shard":1,"key":"k"}`)
				require.Equal(t, http.StatusCreated, r.status, r.text)
				require.Equal(t, http.StatusNoContent, f.sites[1].do(t, "POST", r.header.Get("Location")+"/identified", "").status)
				time.Sleep(30 * time.Second)
				assert.Equal(t, left-1, f.left(t))
			})
		})
	}
}

func TestAcross_ATicketIsForOneWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 2)
		require.Equal(t, http.StatusOK, f.sites[0].do(t, "POST", "/v1/identifies", `{"shard":0}`).status)
		r := f.sites[0].do(t, "POST", "/v1/identifies", `{"shard":1,"max_wait_ms":100}`)
		require.Equal(t, http.StatusAccepted, r.status)
		require.Equal(t, true, r.body["keeps_place"])
		ticket := r.body["ticket"].(string)
		require.Equal(t, http.StatusOK, f.sites[1].do(t, "POST", "/v1/identifies", `{"shard":1,"ticket":"`+ticket+`"}`).status)
		time.Sleep(time.Second)
		var line []<-chan reply
		for shard := 2; shard < 5; shard++ {
			line = append(line, later(t, f.sites[shard%2], "/v1/identifies", fmt.Sprintf(`{"shard":%d}`, shard)))
			time.Sleep(20 * time.Millisecond)
		}
		used := later(t, f.sites[0], "/v1/identifies", `{"shard":1,"ticket":"`+ticket+`"}`)
		for _, answer := range line {
			require.Equal(t, http.StatusOK, (<-answer).status)
			select {
			case <-used:
				require.Fail(t, "a used ticket stands before those who came before it")
			default:
			}
		}
		require.Equal(t, http.StatusOK, (<-used).status, "it comes again")
	})
}

// A client that begins another wait, by another key, may bring the ticket of the
// one before along: the ticket is ignored.
func TestAcross_ATicketGoesWithItsKey(t *testing.T) {
	for _, second := range []string{`,"key":"two"`, ""} {
		for _, granted := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t, 2)
				require.Equal(t, http.StatusOK, f.sites[0].do(t, "POST", "/v1/identifies", `{"shard":0}`).status)
				r := f.sites[0].do(t, "POST", "/v1/permits", `{"shard":1,"max_wait_ms":100,"key":"one"}`)
				require.Equal(t, http.StatusAccepted, r.status)
				ticket := `,"ticket":"` + r.body["ticket"].(string) + `"`
				if granted {
					p := f.sites[1].do(t, "POST", "/v1/permits", `{"shard":1,"key":"one"`+ticket+`}`)
					require.Equal(t, http.StatusCreated, p.status)
					require.Equal(t, http.StatusNoContent, f.sites[1].do(t, "POST", p.header.Get("Location")+"/identified", "").status)
				}
				other := later(t, f.sites[0], "/v1/permits", `{"shard":2}`)
				time.Sleep(time.Second)
				left := f.left(t)
				n := later(t, f.sites[1], "/v1/permits", `{"shard":1`+second+ticket+`}`)
				p := <-other
				require.Equal(t, http.StatusCreated, p.status, "it stands before")
				require.Empty(t, n)
				require.Equal(t, http.StatusNoContent, f.sites[1].do(t, "POST", p.header.Get("Location")+"/identified", "").status)
				p = <-n
				require.Equal(t, http.StatusCreated, p.status, p.text)
				require.LessOrEqual(t, f.left(t), left-1, "it is another wait, and pays")
			})
		}
	}
}

func TestAcross_EarlyTicketsAndThoseOf503KeepThePlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 3)
		require.NoError(t, f.queues[2].Wait(t.Context(), 0))
		early := f.sites[0].do(t, "POST", "/v1/permits", `{"shard":1,"early_ticket":true}`)
		require.Equal(t, http.StatusAccepted, early.status)
		polled := later(t, f.sites[0], "/v1/permits", `{"shard":2}`)
		time.Sleep(20 * time.Millisecond)
		newcomer := later(t, f.sites[2], "/v1/identifies", `{"shard":3}`)
		time.Sleep(20 * time.Millisecond)
		require.NoError(t, f.sites[0].handler.Shutdown(t.Context()))
		rolled := <-polled
		require.Equal(t, http.StatusServiceUnavailable, rolled.status)
		require.NotEmpty(t, rolled.body["ticket"])
		first := later(t, f.sites[1], "/v1/identifies", `{"shard":1,"ticket":"`+early.body["ticket"].(string)+`"}`)
		second := later(t, f.sites[1], "/v1/identifies", `{"shard":2,"ticket":"`+rolled.body["ticket"].(string)+`"}`)
		for i, answer := range []<-chan reply{first, second, newcomer} {
			require.Equal(t, http.StatusOK, (<-answer).status)
			for _, next := range []<-chan reply{first, second, newcomer}[i+1:] {
				require.Empty(t, next)
			}
		}
	})
}

func TestAcross_410SaysHowAPermitHasEnded(t *testing.T) {
	for name, newSites := range map[string]func(t *testing.T) (a, b *site){
		"on Redis":  func(t *testing.T) (a, b *site) { f := newFleet(t, 2); return f.sites[0], f.sites[1] },
		"in memory": func(t *testing.T) (a, b *site) { s := serve(t, inMemory(t, full(1))); return s, s },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := newSites(t)
				permit := func() string {
					r := a.do(t, "POST", "/v1/permits", `{"shard":0}`)
					require.Equal(t, http.StatusCreated, r.status, r.text)
					return r.header.Get("Location")
				}
				gone := func(at, reason string) {
					t.Helper()
					r := b.do(t, "PUT", at, "")
					require.Equal(t, http.StatusGone, r.status, r.text)
					require.Equal(t, "urn:gatewayqueue:problem:gone", r.body["type"])
					require.Equal(t, reason, r.body["reason"])
				}
				used := permit()
				for range 3 {
					require.Equal(t, http.StatusNoContent, b.do(t, "POST", used+"/identified", "").status, "reports may be repeated")
				}
				gone(used, "settled")
				unused := permit()
				for range 3 {
					require.Equal(t, http.StatusNoContent, b.do(t, "DELETE", unused, "").status)
				}
				gone(unused, "settled")
				forgotten := permit()
				time.Sleep(11 * time.Second)
				gone(forgotten, "lapsed")
				kept := permit()
				time.Sleep(4500 * time.Millisecond)
				require.Equal(t, http.StatusNoContent, b.do(t, "POST", kept+"/identified", "").status, "who identifies within 4 s need not renew")
			})
		})
	}
}

// What is sealed with anything but the key that the servers have agreed on is
// nobody's.
func TestAcross_PermitsAndTicketsCannotBeForged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 2)
		victim := f.sites[0].do(t, "POST", "/v1/permits", `{"shard":0}`)
		require.Equal(t, http.StatusCreated, victim.status)
		status, err := f.queues[0].Status(t.Context())
		require.NoError(t, err)
		honest := later(t, f.sites[0], "/v1/identifies", `{"shard":7}`)
		time.Sleep(100 * time.Millisecond)
		mac := func(key []byte, text string) []byte {
			m := hmac.New(sha256.New, key)
			m.Write([]byte(text))
			return m.Sum(nil)
		}
		var forged []<-chan reply
		for i, key := range [][]byte{nil, mac(nil, "gatewayqueue: tickets and permits"), mac(nil, "gatewayqueue: tickets and permits\n")} {
			seal := func(text string) string {
				return base64.RawURLEncoding.EncodeToString(append(mac(key, text)[:16], text...))
			}
			id := seal(fmt.Sprintf("p%s 0 1 %d", status.Buckets[0].Holder, time.Now().UnixMilli()))
			for _, call := range [][2]string{{"DELETE", ""}, {"PUT", ""}, {"POST", "/identified"}, {"GET", ""}} {
				require.Equal(t, http.StatusNotFound, f.sites[1].do(t, call[0], "/v1/permits/"+id+call[1], "").status)
			}
			ticket := seal(fmt.Sprintf("t%d 1000", 20+i))
			forged = append(forged, later(t, f.sites[1], "/v1/identifies", fmt.Sprintf(`{"shard":%d,"ticket":"%s"}`, 20+i, ticket)))
		}
		time.Sleep(2 * time.Second)
		require.Equal(t, http.StatusNoContent, f.sites[1].do(t, "POST", victim.header.Get("Location")+"/identified", "").status)
		require.Equal(t, http.StatusOK, (<-honest).status)
		for _, answer := range forged {
			require.Empty(t, answer, "a forged ticket keeps no place")
		}
		for _, answer := range forged {
			<-answer
		}
	})
}

// The key is made once, also by servers that start together, and outlives the
// loss of Redis's data: permits that are out can be reported.
func TestAcross_TheKeyIsOneForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 3, httpqueue.WithBearerToken("a-token"))
		auth := "Authorization: Bearer a-token"
		var permits []string
		for shard, s := range f.sites {
			r := s.do(t, "POST", "/v1/permits", fmt.Sprintf(`{"shard":%d}`, shard), auth)
			require.Equal(t, http.StatusCreated, r.status)
			permits = append(permits, r.header.Get("Location"))
			require.Equal(t, http.StatusOK, f.sites[(shard+1)%3].do(t, "PUT", permits[shard], "", auth).status)
			require.Equal(t, http.StatusNoContent, f.sites[(shard+2)%3].do(t, "POST", permits[shard]+"/identified", "", auth).status)
		}
		require.Len(t, f.redis.Keys(), len(unique(f.redis.Keys())))
		f.redis.FlushAll()
		time.Sleep(2 * time.Minute)
		r := f.sites[0].do(t, "POST", "/v1/permits", `{"shard":0}`, auth)
		require.Equal(t, http.StatusCreated, r.status, r.text)
		late := f.add(t, httpqueue.WithBearerToken("a-token"))
		require.Equal(t, http.StatusOK, late.do(t, "PUT", r.header.Get("Location"), "", auth).status, "the others have told Redis again")
		other := f.add(t, httpqueue.WithBearerToken("another-token"))
		require.Equal(t, http.StatusNotFound, other.do(t, "PUT", r.header.Get("Location"), "", "Authorization: Bearer another-token").status)
	})
}

func unique(all []string) map[string]bool {
	set := make(map[string]bool)
	for _, s := range all {
		set[s] = true
	}
	return set
}

// While Redis is away nothing is granted, and nobody loses a place.
func TestAcross_WhileRedisIsAwayTicketsStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 2)
		require.NoError(t, f.queues[0].Wait(t.Context(), 0))
		r := f.sites[0].do(t, "POST", "/v1/permits", `{"shard":1,"max_wait_ms":100,"key":"k"}`)
		require.Equal(t, http.StatusAccepted, r.status)
		ticket := r.body["ticket"].(string)
		left := f.left(t)
		f.redis.SetError("LOADING Redis is loading the dataset in memory")
		for _, s := range f.sites {
			r := s.do(t, "POST", "/v1/permits", `{"shard":1,"max_wait_ms":100,"key":"k","ticket":"`+ticket+`"}`)
			require.Equal(t, http.StatusServiceUnavailable, r.status, r.text)
			require.NotEmpty(t, r.header.Get("Retry-After"))
		}
		f.redis.SetError("")
		r = f.sites[1].do(t, "POST", "/v1/permits", `{"shard":1,"key":"k","ticket":"`+ticket+`"}`)
		require.Equal(t, http.StatusCreated, r.status, r.text)
		require.Equal(t, left-1, f.left(t))
		f.redis.SetError("NOPERM this user has no permissions to run the 'evalsha' command")
		r = f.sites[1].do(t, "POST", "/v1/permits", `{"shard":2,"key":"other"}`)
		require.Equal(t, http.StatusInternalServerError, r.status, "no waiting helps")
		require.NotContains(t, r.text, "NOPERM", "it is the operator's business")
		f.redis.SetError("")
	})
}

// A server that is stopped while Redis is away does not wait for Redis.
func TestAcross_TheEndDoesNotWaitForAStoreThatIsAway(t *testing.T) {
	for name, body := range map[string]string{"a key": `{"shard":1,"key":"k"}`, "none": `{"shard":1}`} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t, 1)
				require.Equal(t, http.StatusOK, f.sites[0].do(t, "POST", "/v1/identifies", `{"shard":0,"key":"k"}`).status)
				f.redis.SetError("LOADING Redis is loading the dataset in memory")
				defer f.redis.SetError("")
				answer := later(t, f.sites[0], "/v1/permits", body)
				time.Sleep(time.Second)
				start := time.Now()
				require.NoError(t, f.sites[0].handler.Shutdown(t.Context()))
				require.LessOrEqual(t, time.Since(start), time.Second)
				r := <-answer
				require.Equal(t, http.StatusServiceUnavailable, r.status)
				require.Equal(t, "urn:gatewayqueue:problem:shutting-down", r.body["type"])
			})
		})
	}
}

// A key that has a permit is told what became of that on the other route.
func TestAcross_APermitsKeyOnIdentifiesIsToldWhy(t *testing.T) {
	for name, c := range map[string]struct {
		meanwhile func(t *testing.T, s *site, at string)
		status    int
		problem   string
		reason    any
	}{
		"open":       {func(*testing.T, *site, string) {}, http.StatusConflict, "held", nil},
		"identified": {func(t *testing.T, s *site, at string) { s.do(t, "POST", at+"/identified", "") }, http.StatusGone, "gone", "settled"},
		"given back": {func(t *testing.T, s *site, at string) { s.do(t, "DELETE", at, "") }, http.StatusGone, "gone", "settled"},
		"lapsed":     {func(*testing.T, *site, string) { time.Sleep(20 * time.Second) }, http.StatusGone, "gone", "lapsed"},
	} {
		for store, start := range stores {
			t.Run(name+" "+store, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := start(t)
					r := s.do(t, "POST", "/v1/permits", `{"shard":1,"key":"k"}`)
					require.Equal(t, http.StatusCreated, r.status, r.text)
					c.meanwhile(t, s, r.header.Get("Location"))
					r = s.do(t, "POST", "/v1/identifies", `{"shard":1,"key":"k"}`)
					assert.Equal(t, c.status, r.status, r.text)
					assert.Equal(t, "urn:gatewayqueue:problem:"+c.problem, r.body["type"], r.text)
					assert.Equal(t, c.reason, r.body["reason"], r.text)
				})
			})
		}
	}
}

// stores are the queues behind a server.
var stores = map[string]func(t *testing.T) *site{
	"on Redis":  func(t *testing.T) *site { return newFleet(t, 1).sites[0] },
	"in memory": func(t *testing.T) *site { return serve(t, inMemory(t, full(8))) },
}

// A permit is given back or identified, not both, on either queue.
func TestAcross_EveryOrderOfReportsOfAPermit(t *testing.T) {
	const ok, none, gone = http.StatusOK, http.StatusNoContent, http.StatusGone
	for _, order := range [][]struct {
		say  string
		want int
	}{
		{{"renew", ok}, {"renew", ok}, {"identified", none}, {"identified", none}, {"renew", gone}, {"delete", gone}, {"identified", none}, {"delete", gone}},
		{{"renew", ok}, {"delete", none}, {"delete", none}, {"renew", gone}, {"delete", none}},
		{{"identified", none}, {"delete", gone}, {"delete", gone}, {"renew", gone}, {"identified", none}},
		{{"identified", none}, {"renew", gone}, {"identified", none}, {"delete", gone}},
		{{"delete", none}, {"renew", gone}, {"delete", none}},
		{{"delete", none}, {"identified", none}, {"identified", none}, {"delete", gone}, {"renew", gone}},
	} {
		for store, start := range stores {
			for kind, body := range map[string]string{"no key": `{"shard":1}`, "a key": `{"shard":1,"key":"one-wait-of-shard-1"}`} {
				t.Run(fmt.Sprint(store, ", ", kind, order), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						s := start(t)
						at := s.do(t, "POST", "/v1/permits", body).header.Get("Location")
						sent := false
						for i, o := range order {
							sent = sent || o.say == "identified"
							var r reply
							switch o.say {
							case "renew":
								r = s.do(t, "PUT", at, "")
							case "identified":
								r = s.do(t, "POST", at+"/identified", "")
							case "delete":
								r = s.do(t, "DELETE", at, "")
							}
							require.Equal(t, o.want, r.status, "%d %s: %s", i, o.say, r.text)
							if o.want == gone {
								require.Equal(t, "settled", r.body["reason"])
							}
						}
						ended := time.Now()
						require.Equal(t, http.StatusCreated, s.do(t, "POST", "/v1/permits", `{"shard":1}`).status)
						require.Equal(t, sent, time.Since(ended) >= gatewayqueue.IdentifyDelay, "its window lasts, if it had one: %v", time.Since(ended))
					})
				})
			}
		}
	}
}

// An IDENTIFY counts though its permit had ended: it has been sent.
func TestAcross_AnIdentifyAfterTheEndOfItsPermitCounts(t *testing.T) {
	for store, start := range stores {
		for how, end := range map[string]func(t *testing.T, s *site, at string){
			"given back": func(t *testing.T, s *site, at string) {
				require.Equal(t, http.StatusNoContent, s.do(t, "DELETE", at, "").status)
			},
			"lapsed": func(*testing.T, *site, string) { time.Sleep(11 * time.Second) },
		} {
			t.Run(fmt.Sprint(store, " ", how), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := start(t)
					at := s.do(t, "POST", "/v1/permits", `{"shard":1}`).header.Get("Location")
					end(t, s, at)
					for range 2 {
						require.Equal(t, http.StatusNoContent, s.do(t, "POST", at+"/identified", "").status)
					}
					sent := time.Now()
					require.Equal(t, http.StatusCreated, s.do(t, "POST", "/v1/permits", `{"shard":1}`).status)
					require.GreaterOrEqual(t, time.Since(sent), gatewayqueue.IdentifyDelay)
					var status gatewayqueue.Status
					require.NoError(t, json.Unmarshal([]byte(s.do(t, "GET", "/v1/status", "").text), &status))
					require.Equal(t, 2, status.Budget.Total-status.Budget.Remaining, "one for each")
				})
			})
		}
	}
}

// A permit of whose client nothing is heard may have been used or not: its key is
// granted again, and the first IDENTIFY that is certain begins the day.
func TestAcross_AKeyWhosePermitHasLapsedIsGrantedAgain(t *testing.T) {
	for store, start := range stores {
		t.Run(store, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := start(t)
				ask := func() reply { return s.do(t, "POST", "/v1/permits", `{"shard":1,"key":"k"}`) }
				require.Equal(t, http.StatusCreated, ask().status)
				time.Sleep(10 * time.Minute)
				again := ask()
				require.Equal(t, http.StatusCreated, again.status, again.text)
				require.Equal(t, http.StatusNoContent, s.do(t, "POST", again.header.Get("Location")+"/identified", "").status)
				at := time.Now()
				require.Equal(t, http.StatusGone, ask().status)
				budget := s.do(t, "GET", "/v1/status", "").body["budget"].(map[string]any)
				assert.InDelta(t, budget["total"].(float64)-1, budget["remaining"], 0, "it is paid once")
				reset, err := time.Parse(time.RFC3339Nano, budget["reset"].(string))
				require.NoError(t, err)
				assert.WithinDuration(t, at.Add(gatewayqueue.LimitPeriod), reset, time.Second)
			})
		})
	}
}
