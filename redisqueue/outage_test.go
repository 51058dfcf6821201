package redisqueue_test

// Servers that come back as another one: a replica that has missed the last
// grants, and knows the scripts or not.

import (
	"context"
	"errors"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// The first answer after an outage may be that of a replica that has missed the
// last grants of others, and knows the scripts: it brings no grant.
func TestTheFirstAnswerAfterAnOutageBringsNoGrant(t *testing.T) {
	for name, err := range map[string]error{
		"Refused": errors.New("dial tcp 127.0.0.1:6379: connect: connection refused"),
		"Silent":  context.DeadlineExceeded,
	} {
		t.Run(name, func(t *testing.T) {
			within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
				queue, hook := cutOff(t, server, fresh(1)...)
				require.NoError(t, queue.Wait(t.Context(), 0))
				time.Sleep(time.Minute)
				seq := server.HGet(at+"limits", "seq")
				require.NoError(t, open(t, client, fresh(1)...).Wait(t.Context(), 1))
				hook.set(err)
				began, next := time.Now(), ask(t.Context(), queue, 2)
				time.Sleep(3 * time.Second)
				server.Del(at + "slot:0") // and so it has missed that
				server.Del(at + "opens")
				server.HSet(at+"limits", "seq", seq)
				hook.set(nil)
				require.NoError(t, <-next)
				require.GreaterOrEqual(t, time.Since(began), 2*gatewayqueue.IdentifyDelay, "a permit's lease")
			})
		})
	}
}

// promoting is a client of a server that is promoted to a master while two claims
// are made: the first of them is slow, the second brings the script along and is
// refused after the first was answered.
type promoting struct {
	redis.Scripter
	claims, evals atomic.Int32
}

func (r *promoting) EvalSha(ctx context.Context, hash string, keys []string, args ...any) *redis.Cmd {
	if hash == claimHash {
		switch r.claims.Add(1) {
		case 1:
			time.Sleep(50 * time.Millisecond)
		case 2:
			return failed(ctx, "NOSCRIPT No matching script. Please use EVAL.")
		}
	}
	return r.Scripter.EvalSha(ctx, hash, keys, args...)
}

func (r *promoting) Eval(ctx context.Context, script string, keys []string, args ...any) *redis.Cmd {
	if r.evals.Add(1) == 1 {
		time.Sleep(100 * time.Millisecond)
		return failed(ctx, "READONLY You can't write against a read only replica.")
	}
	return r.Scripter.Eval(ctx, script, keys, args...)
}

type serverError string

func (e serverError) Error() string { return string(e) }
func (serverError) RedisError()     {}

func failed(ctx context.Context, text string) *redis.Cmd {
	cmd := redis.NewCmd(ctx)
	cmd.SetErr(serverError(text))
	return cmd
}

// That a server did not know the script is told to it by a call that says so, not
// by whichever is answered next.
func TestAnAnswerBesidesDoesNotHideThatTheScriptWasUnknown(t *testing.T) {
	within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
		require.NoError(t, open(t, client, fresh(2)...).Wait(t.Context(), 2)) // the queue is there
		queue := open(t, &promoting{Scripter: virtualClient(t, server)}, redisqueue.WithLimit(full(2)), redisqueue.WithReserve(0))
		time.Sleep(time.Minute)
		slow := ask(t.Context(), queue, 0)
		time.Sleep(10 * time.Millisecond)
		began := time.Now()
		require.NoError(t, queue.Wait(t.Context(), 1))
		require.NoError(t, <-slow)
		closed, err := strconv.ParseInt(server.HGet(at+"limits", "closed_until"), 10, 64)
		require.NoError(t, err)
		require.Greater(t, closed, began.UnixMilli(), "every bucket was closed")
	})
}
