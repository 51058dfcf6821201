package store_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/store"
	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
)

func TestBadURLIsRefusedWithoutItsPassword(t *testing.T) {
	for url, want := range map[string]string{
		"":                          "none of these schemes",
		"a-passw0rd":                `the Redis URL "..." is not one: it begins with none of these schemes`,
		"localhost:6379":            `the Redis URL "localhost:6379" is not one: it begins with none of these schemes`,
		"http://bot:s3cret@host":    `"...@host"`,
		"redis://:s3cret%zz@host:1": `"redis://...@host:1" is not one: user or password hold a % that begins no escape`,
		"redis://host/database":     `"database" is no database: want a number`,
	} {
		opened, err := store.Open(t.Context(), url)
		if err == nil { // it answers
			_, err = opened.HasQueue(t.Context(), "1")
			require.NoError(t, opened.Close())
		}
		if assert.ErrorContains(t, err, want, "%q", url) {
			assert.NotContains(t, err.Error(), "s3cret")
			assert.ErrorContains(t, err, "want redis://[[user]:password@]host:port[/db]")
		}
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--requirepass", "s3cret")
	admin := server.Client(t, func(o *redis.Options) { o.Password = "s3cret" })
	require.NoError(t, admin.Do(t.Context(), "ACL", "SETUSER", "poor", "on", ">pw", "~*", "+get").Err())
	open := redistest.Start(t)

	for url, want := range map[string]string{
		"redis://127.0.0.1:1":               "nothing listens there: start redis-server",
		"redis://" + server.Addr:            "put the password into the URL",
		"redis://:wr0ng@" + server.Addr:     "user or password in the URL are not this server's",
		"redis://poor:pw@" + server.Addr:    "allow this user what",
		"redis://" + open.Addr + "/99":      "not a database that this server has",
		"redis://no-such-host.invalid:6379": "there is no such host",
	} {
		opened, err := store.Open(t.Context(), url)
		if err == nil { // it answers
			_, err = opened.HasQueue(t.Context(), "1")
			require.NoError(t, opened.Close())
		}
		if assert.ErrorContains(t, err, want, "%q", url) {
			assert.NotContains(t, err.Error(), "wr0ng")
			assert.NotContains(t, err.Error(), "\n")
		}
	}
}

func TestServerThatDoesNotAnswerIsNotWaitedForForever(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Pause()
	start := time.Now()
	_, err := store.Open(t.Context(), "redis://"+server.Addr)
	assert.ErrorContains(t, err, "no answer in time")
	assert.Less(t, time.Since(start), 10*time.Second)
}

func TestEmbeddedRedisExpiresKeysByItself(t *testing.T) {
	s, err := store.Embed()
	require.NoError(t, err)
	defer s.Close()
	assert.True(t, s.Embedded())
	require.NoError(t, s.Client.Set(t.Context(), "key", 1, 20*time.Millisecond).Err())
	assert.Eventually(t, func() bool { return s.Client.Exists(t.Context(), "key").Val() == 0 }, time.Second, 5*time.Millisecond)
}

func TestOnlyTheApplicationsOwnKeysAreRemoved(t *testing.T) {
	t.Parallel()
	s, err := store.Open(t.Context(), "redis://"+redistest.Start(t).Addr)
	require.NoError(t, err)
	defer s.Close()
	keys := []string{"identify:{a}:limits", "identify:{a}:slot:0", "identify:{ab}:limits", "identify:{b}:slot:1", "other"}
	for _, key := range keys {
		require.NoError(t, s.Client.Set(t.Context(), key, 1, 0).Err())
	}
	apps, err := s.Apps(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{"a", "ab"}, apps)
	for app, want := range map[string]bool{"a": true, "ab": true, "b": false, "c": false} {
		has, err := s.HasQueue(t.Context(), app)
		require.NoError(t, err)
		assert.Equal(t, want, has, app)
	}
	exists, err := s.Exists(t.Context(), "b")
	require.NoError(t, err)
	assert.True(t, exists, "a slot without limits is something to spoil, too")

	n, err := s.Remove(t.Context(), "a")
	require.NoError(t, err)
	assert.Equal(t, 2, n)
	assert.EqualValues(t, 3, s.Client.DBSize(t.Context()).Val())
}

func TestMeterCountsScriptsAndCutsOff(t *testing.T) {
	s, err := store.Embed()
	require.NoError(t, err)
	defer s.Close()
	meter := &store.Meter{}
	s.Client.AddHook(meter)
	require.NoError(t, s.Client.Ping(t.Context()).Err())
	require.NoError(t, s.Client.Eval(t.Context(), "return 1", nil).Err())
	assert.EqualValues(t, 1, meter.Calls())

	meter.Cut()
	assert.ErrorIs(t, s.Client.Eval(t.Context(), "return 1", nil).Err(), store.ErrCut)
	pipe := s.Client.Pipeline()
	pipe.Ping(t.Context())
	_, err = pipe.Exec(t.Context())
	assert.ErrorIs(t, err, store.ErrCut)
	assert.EqualValues(t, 1, meter.Calls())
}
