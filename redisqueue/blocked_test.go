package redisqueue_test

// Nothing waits in silence: whatever keeps a Wait waiting is in the log, in the
// error when its context ends, in Status, and in an event.

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// reasons are the reasons of a queue's events, in order.
type reasons struct {
	mu  sync.Mutex
	all []*gatewayqueue.BlockedError
}

func (b *reasons) hear(e gatewayqueue.Event) {
	if e.Kind != gatewayqueue.EventBlocked {
		return
	}
	var blocked *gatewayqueue.BlockedError
	if errors.As(e.Err, &blocked) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.all = append(b.all, blocked)
	}
}

func (b *reasons) of(reason gatewayqueue.Reason) (n int, first *gatewayqueue.BlockedError) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.all {
		if e.Reason == reason {
			if n++; first == nil {
				first = e
			}
		}
	}
	return n, first
}

var errNoRoute = errors.New("dial tcp: lookup discord.com: no such host")

func TestBlocked_EveryReasonIsSaidEverywhere(t *testing.T) {
	usedUp := gatewayqueue.SessionStartLimit{Total: 1000, Remaining: 0, ResetAfter: time.Hour, MaxConcurrency: 1}
	fails := func(err error) redisqueue.Option {
		return redisqueue.WithLimitSource(func(context.Context) (gatewayqueue.SessionStartLimit, error) {
			return gatewayqueue.SessionStartLimit{}, err
		})
	}
	for name, row := range map[string]struct {
		reason  gatewayqueue.Reason
		options []redisqueue.Option
		before  func(t *testing.T, q *redisqueue.RedisQueue, client *redis.Client, server *miniredis.Miniredis)
		is      error
		log     string // of the queue
		why     string // in the error, the log or the event
		status  string // in Status.Blocked, or in its error
	}{
		"an empty Redis": {
			reason: gatewayqueue.ReasonHold, options: []redisqueue.Option{redisqueue.WithPermitLease(100 * time.Second)},
			log: "every bucket stays closed for a while", why: "Redis had no queue of this application, or has lost it", status: "held closed",
		},
		"an empty Redis that another pod has found": {
			reason: gatewayqueue.ReasonHold,
			before: func(t *testing.T, _ *redisqueue.RedisQueue, client *redis.Client, _ *miniredis.Miniredis) {
				first := open(t, client, redisqueue.WithPermitLease(100*time.Second), redisqueue.WithLogger(slog.New(slog.DiscardHandler)))
				_ = ask(t.Context(), first, 9)
				time.Sleep(time.Second)
			},
			log: "nothing is granted for now reason=hold", why: "held closed", status: "held closed",
		},
		"a limit source that refuses the token": {
			reason: gatewayqueue.ReasonSource, options: []redisqueue.Option{fails(refused)}, is: redisqueue.ErrUnauthorized,
			log: "the limit source failed", why: "as the developer portal shows it", status: "refuses the bot token",
		},
		"a limit source that is away": {
			reason: gatewayqueue.ReasonSource, options: []redisqueue.Option{fails(errNoRoute)}, is: errNoRoute,
			log: "the limit source failed", why: "can this machine reach the limit source?", status: "no such host",
		},
		"a limit source that failed for another pod": {
			reason: gatewayqueue.ReasonSource, options: []redisqueue.Option{fails(errors.New("it is not asked"))},
			before: func(t *testing.T, _ *redisqueue.RedisQueue, client *redis.Client, _ *miniredis.Miniredis) {
				first := open(t, client, fails(inAnHour), redisqueue.WithLogger(slog.New(slog.DiscardHandler)))
				_ = ask(t.Context(), first, 9)
				time.Sleep(time.Second)
			},
			log: "nothing is granted for now reason=limit source", why: "the limits are not known", status: "rate limited",
		},
		"Redis is away": {
			reason: gatewayqueue.ReasonStore, is: errNoRoute, options: fresh(1),
			before: func(_ *testing.T, _ *redisqueue.RedisQueue, client *redis.Client, _ *miniredis.Miniredis) {
				hook := new(away)
				hook.set(errNoRoute)
				client.AddHook(perCommand{hook})
			},
			log: "Redis is unavailable", why: "no such host", status: "no such host",
		},
		"the budget is used up": {
			reason: gatewayqueue.ReasonBudget, options: fresh(1, redisqueue.WithLimit(usedUp)),
			log: "nothing is granted for now reason=budget", why: "the budget is used up until its reset", status: "the budget is used up",
		},
		"the reserve is all that is left": {
			reason:  gatewayqueue.ReasonBudget,
			options: []redisqueue.Option{redisqueue.WithFreshStart(), redisqueue.WithLimit(gatewayqueue.SessionStartLimit{Total: 1000, Remaining: 10, ResetAfter: time.Hour, MaxConcurrency: 1})},
			log:     "nothing is granted for now reason=budget", why: "the budget is used up until its reset", status: "the budget is used up",
		},
		"limits that allow nothing": {
			reason: gatewayqueue.ReasonLimits, options: fresh(1, redisqueue.WithReserve(1000)),
			log: "nothing is ever granted under these limits", why: "a reserve of 1000 leaves nothing", status: "a reserve of 1000 leaves nothing",
		},
		"a shard that identifies too often": {
			reason: gatewayqueue.ReasonBackoff, options: fresh(1, redisqueue.WithBackoff(1)),
			before: func(t *testing.T, q *redisqueue.RedisQueue, _ *redis.Client, _ *miniredis.Miniredis) {
				for range 6 { // it backs off for 5 s, 11 s, and so on
					require.NoError(t, q.Wait(t.Context(), 0))
				}
			},
			log: "a shard identifies too often", why: "shard 0 backs off", status: "shard 0 backs off",
		},
		"a bucket closed by hand": {
			reason: gatewayqueue.ReasonLine, options: fresh(1),
			before: func(t *testing.T, _ *redisqueue.RedisQueue, client *redis.Client, _ *miniredis.Miniredis) {
				require.NoError(t, client.Set(t.Context(), at+"slot:0", "maintenance", time.Hour).Err())
			},
			log: "nothing is granted for now reason=line", why: `bucket closed by hand: identify:{default}:slot:0 holds "maintenance"`,
		},
	} {
		for _, end := range []string{"cancelled", "deadline"} {
			t.Run(name+", "+end, func(t *testing.T) {
				within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
					log, heard := newLogbook(), new(reasons)
					q := open(t, client, append(row.options, log.option(), redisqueue.WithObserver(heard.hear))...)
					if row.before != nil {
						row.before(t, q, client, server)
					}
					long := ask(t.Context(), q, 0) // the reasons are told while somebody waits
					time.Sleep(20 * time.Second)
					synctest.Wait()
					ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
					if end == "cancelled" {
						ctx, cancel = context.WithCancel(t.Context())
						time.AfterFunc(5*time.Second, cancel)
					}
					defer cancel()
					err := q.Wait(ctx, 0)
					require.Error(t, err)
					if end == "deadline" {
						require.ErrorIs(t, err, context.DeadlineExceeded)
					}
					var blocked *gatewayqueue.BlockedError
					require.ErrorAs(t, err, &blocked)
					require.NotContains(t, err.Error(), "\n", "it ends up in a log")
					if blocked.Reason != gatewayqueue.ReasonLine || row.reason != gatewayqueue.ReasonBackoff { // behind one that backs off it may stand in line
						require.Equal(t, row.reason, blocked.Reason, err)
					}
					if row.is != nil {
						require.ErrorIs(t, err, row.is)
					}
					require.Positive(t, log.said(row.log), log.all())
					n, event := heard.of(row.reason)
					require.Positive(t, n, "no event")
					assert.Contains(t, err.Error()+strings.Join(log.all(), " ")+event.Error(), row.why)
					said := log.said(row.log)
					status, err := q.Status(t.Context())
					if row.status != "" {
						text := ""
						for _, b := range status.Blocked() {
							text += b.Error() + "\n"
						}
						if err != nil {
							text += err.Error()
						}
						require.Contains(t, text, row.status)
					} else {
						require.Empty(t, status.Blocked(), "a line is normal: Status shows its bucket")
						require.Positive(t, status.Buckets[0].Closed)
					}
					require.Empty(t, long, "it waits on")
					time.Sleep(30 * time.Second)
					require.LessOrEqual(t, log.said(row.log), said+1, "%s: no more than about once a minute", log.all())
				})
			})
		}
	}
}

// What is told by default reaches slog.Default, so that a program which sets
// nothing hears of it.
func TestLogger_IsTheDefaultOne(t *testing.T) {
	before := slog.Default()
	defer slog.SetDefault(before)
	log := newLogbook()
	slog.SetDefault(slog.New(log))
	within(t, func(t *testing.T, _ *miniredis.Miniredis, client *redis.Client) {
		q := open(t, client)
		require.NoError(t, q.Wait(t.Context(), 0))
		require.Equal(t, 1, log.said("started a queue: Redis had none, or has lost it"), log.all())
	})
}

// In a user's test, miniredis as it comes lets no TTL run down: the second shard
// would wait for ever.
func TestMiniredis_WhoseTTLsStandStillIsNamedAtOnce(t *testing.T) {
	t.Parallel()
	for name, runs := range map[string]bool{"as it comes": false, "with ClockTTL": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := miniredis.RunT(t)
			server.ClockTTL(runs)
			client := redis.NewClient(&redis.Options{Addr: server.Addr()})
			defer client.Close()
			log, heard := newLogbook(), new(reasons)
			q := open(t, client, redisqueue.WithFreshStart(), redisqueue.WithWindow(time.Second), log.option(), redisqueue.WithObserver(heard.hear))
			require.NoError(t, q.Wait(t.Context(), 0))
			if runs {
				require.NoError(t, q.Wait(t.Context(), 1))
				require.Zero(t, log.said("ClockTTL"), log.all())
				return
			}
			require.Eventually(t, func() bool { return log.said("cure=it is miniredis: call ClockTTL(true) on it") > 0 }, time.Minute, time.Millisecond, "%v", log.all())
			n, _ := heard.of(gatewayqueue.ReasonStore)
			require.Equal(t, 1, n)
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			err := q.Wait(ctx, 1)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.ErrorContains(t, err, "ClockTTL(true)")
		})
	}
}

// What lasts for hours is told hourly, not each minute.
func TestBlocked_WhatLastsIsToldHourly(t *testing.T) {
	for name, row := range map[string]struct {
		limit gatewayqueue.SessionStartLimit
		slot  bool
	}{
		"the budget":              {gatewayqueue.SessionStartLimit{Total: 1000, Remaining: 0, ResetAfter: 5 * time.Hour, MaxConcurrency: 1}, false},
		"a bucket closed by hand": {full(1), true},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, func(t *testing.T, _ *miniredis.Miniredis, client *redis.Client) {
				log := newLogbook()
				q := open(t, client, fresh(1, redisqueue.WithLimit(row.limit), log.option())...)
				if row.slot {
					require.NoError(t, client.Set(t.Context(), at+"slot:0", "maintenance", 5*time.Hour).Err())
				}
				waiter := ask(t.Context(), q, 0)
				waitsOn(t, waiter, 4*time.Hour)
				said := log.said("nothing is granted for now")
				require.GreaterOrEqual(t, said, 1, log.all())
				require.LessOrEqual(t, said, 6, log.all())
			})
		})
	}
}
