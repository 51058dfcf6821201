package redisqueue_test

import (
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

func TestOptionsOutOfRangeAreRefused(t *testing.T) {
	limit := func(total, remaining, mc int, reset time.Duration) redisqueue.Option {
		return redisqueue.WithLimit(gatewayqueue.SessionStartLimit{Total: total, Remaining: remaining, MaxConcurrency: mc, ResetAfter: reset})
	}
	const names = "want 1 to 64 letters, digits, dots, dashes or underscores"
	for text, opts := range map[string][]redisqueue.Option{
		`application is "": ` + names:                                       {redisqueue.WithApp("")},
		`application is "a b": ` + names:                                    {redisqueue.WithApp("a b")},
		`application is "a}b": ` + names:                                    {redisqueue.WithApp("a}b")},
		`application is "a\n": ` + names:                                    {redisqueue.WithApp("a\n")},
		`pod is "a@b": ` + names:                                            {redisqueue.WithPod("a@b")},
		`pod is "a#1": ` + names:                                            {redisqueue.WithPod("a#1")},
		"xxx" + `": ` + names:                                               {redisqueue.WithPod(strings.Repeat("x", 65))},
		"refresh is 999ms: want 1s or more":                                 {redisqueue.WithRefresh(999 * time.Millisecond)},
		"window is 0s: want 10ms to 1m":                                     {redisqueue.WithWindow(0)},
		"window is 9ms: want 10ms to 1m":                                    {redisqueue.WithWindow(9 * time.Millisecond)},
		"window is 1m0.001s: want 10ms to 1m":                               {redisqueue.WithWindow(time.Minute + time.Millisecond)},
		"margin is -1ns: want 0s to 1m":                                     {redisqueue.WithMargin(-1)},
		"margin left is -1ns: want 0s to the margin, 250ms":                 {redisqueue.WithMarginLeft(-1)},
		"margin left is 300ms: want 0s to the margin, 250ms":                {redisqueue.WithMarginLeft(300 * time.Millisecond)},
		"margin is 1m0.001s: want 0s to 1m":                                 {redisqueue.WithMargin(time.Minute + time.Millisecond)},
		"permit margin is -1ns: want 0s to 1m":                              {redisqueue.WithPermitMargin(-1)},
		"permit margin is 2m0s: want 0s to 1m":                              {redisqueue.WithPermitMargin(2 * time.Minute)},
		"permit lease is 5.059s: want more than a window":                   {redisqueue.WithPermitLease(5059 * time.Millisecond)},
		"permit lease is -1s: want more than a window":                      {redisqueue.WithPermitLease(-time.Second)},
		"permit lease is 2m0.001s: want more than a window":                 {redisqueue.WithPermitLease(2*time.Minute + time.Millisecond)},
		"(5.05s) by 10ms, to 2m0s":                                          {redisqueue.WithPermitLease(time.Second)},
		"pod lease is 49ms: want 50ms to 1m":                                {redisqueue.WithPodLease(49 * time.Millisecond)},
		"pod lease is 1m0.001s: want 50ms to 1m":                            {redisqueue.WithPodLease(time.Minute + time.Millisecond)},
		"reserve is -1: want 0 or more":                                     {redisqueue.WithReserve(-1)},
		"logger is nil: want a *slog.Logger; slog.New(slog.DiscardHandler)": {redisqueue.WithLogger(nil)},
		"observer is nil: want a function; leave the option":                {redisqueue.WithObserver(nil)},
		"total is -1: want 0 or more":                                       {limit(-1, 0, 1, 0)},
		"remaining is -1: want 0 or more":                                   {limit(1, -1, 1, 0)},
		"remaining is 2: want at most total, 1":                             {limit(1, 2, 1, 0)},
		"reset_after is -1ns: want 0 or more":                               {limit(1, 1, 1, -1)},
		"max_concurrency is -1: want 0 to ":                                 {limit(1, 1, -1, 0)},
		"max_concurrency is 0: want 1 to 4096":                              {limit(1, 1, 0, 0)},
		"max_concurrency is 4097: want 1 to 4096":                           {limit(1, 1, 4097, 0)},
	} {
		_, err := redisqueue.New(redis.NewClient(&redis.Options{}), opts...)
		require.ErrorIs(t, err, gatewayqueue.ErrInvalid, text)
		require.ErrorContains(t, err, text)
	}
}

func TestOptionsAtTheEdgeOfTheirRangeAreTaken(t *testing.T) {
	for name, opts := range map[string][]redisqueue.Option{
		"none":     nil,
		"smallest": {redisqueue.WithWindow(10 * time.Millisecond), redisqueue.WithMargin(0), redisqueue.WithPermitMargin(0), redisqueue.WithPermitLease(20 * time.Millisecond), redisqueue.WithPodLease(50 * time.Millisecond), redisqueue.WithRefresh(time.Second), redisqueue.WithReserve(0)},
		"largest":  {redisqueue.WithWindow(time.Minute), redisqueue.WithMargin(time.Minute), redisqueue.WithPermitMargin(59 * time.Second), redisqueue.WithPodLease(time.Minute), redisqueue.WithPermitLease(2 * time.Minute)},
		"names":    {redisqueue.WithApp("1234567890"), redisqueue.WithPod(strings.Repeat("x", 64))},
		"limit":    {redisqueue.WithLimit(gatewayqueue.SessionStartLimit{MaxConcurrency: 4096})},
	} {
		_, err := redisqueue.New(redis.NewClient(&redis.Options{}), opts...)
		require.NoError(t, err, name)
	}
}

func TestANilClientIsRefused(t *testing.T) {
	var none *redis.Client
	for _, client := range []redis.Scripter{nil, none} {
		_, err := redisqueue.New(client)
		require.ErrorIs(t, err, gatewayqueue.ErrInvalid)
		require.EqualError(t, err, "gatewayqueue: client is nil: want a Redis client")
	}
}

// What is not set must fit what is: nobody can make sense of a refusal that names
// an option that they did not set.
func TestDefaults_FitEveryValueOfTheOtherOptions(t *testing.T) {
	windows := []time.Duration{10 * time.Millisecond, 11 * time.Millisecond, 50 * time.Millisecond, 60 * time.Millisecond, 100 * time.Millisecond, time.Second, 5 * time.Second, time.Minute}
	margins := []time.Duration{0, time.Millisecond, 50 * time.Millisecond, time.Second, 5 * time.Second, 59 * time.Second, time.Minute}
	try := func(named string, opts ...redisqueue.Option) {
		t.Helper()
		_, err := redisqueue.New(redis.NewClient(&redis.Options{}), opts...)
		if err == nil {
			return
		}
		var invalid *gatewayqueue.InvalidError
		require.ErrorAs(t, err, &invalid)
		require.Equal(t, named, invalid.Field, err)
	}
	for _, d := range windows {
		try("", redisqueue.WithWindow(d))
		try("", redisqueue.WithPodLease(max(d, 50*time.Millisecond)))
		for _, m := range margins {
			try("", redisqueue.WithWindow(d), redisqueue.WithMargin(m))
			try("permit margin", redisqueue.WithWindow(d), redisqueue.WithPermitMargin(m)) // 1m beside 1m alone has no room
		}
	}
	for _, m := range margins {
		try("", redisqueue.WithMargin(m))
		try("", redisqueue.WithPermitMargin(m))
	}
	_, err := redisqueue.New(redis.NewClient(&redis.Options{}), redisqueue.WithWindow(time.Minute), redisqueue.WithPermitMargin(time.Minute))
	require.ErrorContains(t, err, "permit margin is 1m0s: want 0s to 59.99s beside a window of 1m0s")
}

func TestAWindowAlone_GrantsPermits(t *testing.T) {
	within(t, func(t *testing.T, _ *miniredis.Miniredis, client *redis.Client) {
		q := open(t, client, redisqueue.WithWindow(50*time.Millisecond), redisqueue.WithFreshStart())
		for shard := range 3 {
			permit, err := q.Acquire(t.Context(), shard)
			require.NoError(t, err)
			require.True(t, time.Now().Before(permit.Deadline()))
			require.NoError(t, permit.Identified(t.Context()))
		}
	})
}
