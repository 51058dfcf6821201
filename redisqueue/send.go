package redisqueue

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatewayqueue/gatewayqueue/internal/elapsed"
	"github.com/gatewayqueue/gatewayqueue/lua"
	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/pod"
	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/wire"
)

// callTimeout bounds one call, for clients with ContextTimeoutEnabled; others
// go by their ReadTimeout.
const callTimeout = 5 * time.Second

// A pod has two lanes, each with so many journeys to Redis at a time, over the few
// connections that it has: to dial for all would take longer, and cost Redis more.
// Calls that are due meanwhile travel together with the next. Reports and renewals of
// permits do not wait for other calls.
const (
	callsAtATime   = 2
	reportsAtATime = 1
)

// laneBound is for how long a call waits in its lane: then it dials. Redis is slow,
// or a connection of it is dead.
const laneBound = 10 * time.Millisecond

// journeyBatch bounds how many calls travel together.
const journeyBatch = 64

// lane has calls that wait until they may be sent.
type lane struct {
	room   int // for journeys at a time
	flying int
	calls  []pod.Send
	since  time.Time // since when the first of them waits
}

func (l *lane) add(call pod.Send) {
	if len(l.calls) == 0 {
		l.since = time.Now()
	}
	l.calls = append(l.calls, call)
}

// next are the calls that travel now; nil if none do.
func (l *lane) next(now time.Time) []pod.Send {
	if len(l.calls) == 0 || l.flying >= l.room && now.Before(l.bound()) {
		return nil
	}
	l.flying++
	n := min(len(l.calls), journeyBatch)
	calls := l.calls[:n:n]
	l.calls = l.calls[n:]
	return calls
}

// bound is when calls leave that wait; zero if none wait.
func (l *lane) bound() time.Time {
	if len(l.calls) == 0 {
		return time.Time{}
	}
	return l.since.Add(laneBound)
}

// sender sends calls to Redis.
type sender struct {
	client redis.Scripter
	keys   wire.Keys
}

// send sends calls together, and returns the answer to each, in their order.
func (s *sender) send(ctx context.Context, calls []pod.Send) []pod.Answered {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	answers := s.attempt(ctx, calls)
	var whole []pod.Send
	var places []int // of those
	for i, a := range answers {
		// A claim is told apart: it may be all that shows that the server is another one.
		if _, claim := calls[i].Request.(wire.Claim); a.Err != nil && !claim && !calls[i].Whole && wire.NoScript(a.Err) {
			again := calls[i]
			again.Whole = true
			whole, places = append(whole, again), append(places, i)
		}
	}
	if len(whole) > 0 {
		for i, a := range s.attempt(ctx, whole) {
			answers[places[i]] = a
		}
	}
	for i := range answers {
		answers[i].Err = s.moving(answers[i].Err)
	}
	return answers
}

// attempt sends calls once: one by itself, or many in a pipeline.
func (s *sender) attempt(ctx context.Context, calls []pod.Send) []pod.Answered {
	answers, sent := make([]pod.Answered, len(calls)), elapsed.Now()
	replicas := 0
	encoded := make([]wire.Call, len(calls))
	for i, c := range calls {
		answers[i] = pod.Answered{To: c, Sent: sent}
		encoded[i] = c.Request.Encode(s.keys)
		replicas = max(replicas, c.Replicas)
	}
	node, err := s.node(ctx, encoded[0].Keys[0], replicas)
	if err != nil {
		for i := range answers {
			answers[i].Err = err
		}
		return answers
	}
	client, pipes := s.client, interface{ Pipeline() redis.Pipeliner }(node)
	if node == nil {
		pipes, _ = s.client.(interface{ Pipeline() redis.Pipeliner })
	}
	if node == nil && (len(calls) == 1 || pipes == nil) {
		for i, call := range encoded {
			answers[i].Raw, answers[i].Err = eval(ctx, client, call, calls[i].Whole).Result()
		}
		return answers
	}
	pipe := pipes.Pipeline()
	commands := make([]*redis.Cmd, len(calls))
	for i, call := range encoded {
		commands[i] = eval(ctx, pipe, call, calls[i].Whole)
	}
	var wait *redis.Cmd
	if node != nil {
		wait = pipe.Do(ctx, "WAIT", replicas, lua.Milliseconds(wire.ReplicaTimeout)) // Wait of go-redis takes whole seconds
	}
	_, _ = pipe.Exec(ctx) // each call has its own error
	acked, err := acknowledged(wait)
	for i, c := range commands {
		answers[i].Raw, answers[i].Err = c.Result()
		if answers[i].Acked = acked; answers[i].Err == nil && calls[i].Replicas > 0 {
			answers[i].Err = err
		}
	}
	return answers
}

func eval(ctx context.Context, to redis.Scripter, call wire.Call, whole bool) *redis.Cmd {
	if whole {
		return to.Eval(ctx, call.Script.Source, call.Keys, call.Args...)
	}
	return to.EvalSha(ctx, call.Script.Hash, call.Keys, call.Args...)
}

// acknowledged is how many replicas have what was written, as a WAIT has answered.
func acknowledged(wait *redis.Cmd) (int, error) {
	if wait == nil {
		return 0, nil
	}
	acked, err := wait.Int()
	if err != nil && strings.Contains(err.Error(), "WAIT cannot be used with replica") {
		err = fmt.Errorf("READONLY the server became a replica: %w", err)
	}
	return acked, err
}

// node is the client of the server that has a key, nil if nobody has to
// acknowledge anything, or the client cannot ask for it. WAIT is about
// the connection that it is sent on, and has no key that would send it to the
// right node.
func (s *sender) node(ctx context.Context, key string, replicas int) (*redis.Client, error) {
	if replicas == 0 {
		return nil, nil
	}
	switch client := s.client.(type) {
	case *redis.Client:
		return client, nil
	case *redis.ClusterClient:
		return client.MasterForKey(ctx, key)
	}
	return nil, nil
}

// moving is err, but that of a redirection that a cluster's client gave up to
// follow: while slots move, nodes send it to and fro. Any other client that is
// redirected is the wrong one.
func (s *sender) moving(err error) error {
	_, cluster := s.client.(*redis.ClusterClient)
	if cluster && (redis.HasErrorPrefix(err, "MOVED") || redis.HasErrorPrefix(err, "ASK")) {
		return wire.ErrMoving
	}
	return err
}
