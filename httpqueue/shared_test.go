package httpqueue_test

// What a queue can do for servers is found, refused or said, never lost.

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/httpqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

var _ httpqueue.SharedQueue = (*redisqueue.RedisQueue)(nil)

// partial is a wrapper that forgets Import, Remember and more.
type partial struct {
	gatewayqueue.PermitQueue
}

func (partial) Export(gatewayqueue.Permit) (string, error) { return "", nil }

func TestNewHandler_WrappedQueue(t *testing.T) {
	queue, err := redisqueue.New(redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})) // nothing is sent
	require.NoError(t, err)
	t.Cleanup(func() { _ = queue.Close() })
	stateless, alone := "the handler is stateless", "only this server knows them"
	for name, test := range map[string]struct {
		queue gatewayqueue.PermitQueue
		says  string // or the error
		fails bool
	}{
		"the queue itself":             {queue, stateless, false},
		"a wrapper of the whole":       {struct{ httpqueue.SharedQueue }{queue}, stateless, false},
		"a wrapper that hides all":     {&counted{PermitQueue: queue}, alone, false},
		"a wrapper that hides a part":  {partial{queue}, "without Remember", true},
		"a queue of one process":       {inMemory(t, full(0)), alone, false},
		"a wrapper of one of the same": {&counted{PermitQueue: inMemory(t, full(0))}, alone, false},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			_, err := httpqueue.NewHandler(test.queue, httpqueue.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
			if test.fails {
				require.ErrorIs(t, err, gatewayqueue.ErrInvalid)
				assert.ErrorContains(t, err, test.says)
				return
			}
			require.NoError(t, err)
			assert.Contains(t, log.String(), test.says)
		})
	}
	_, err = httpqueue.NewSharedHandler(nil)
	require.ErrorIs(t, err, gatewayqueue.ErrInvalid)
}
