package redisqueue

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/gatewayqueue/gatewayqueue"
)

// What the tests reach inside for.
var (
	FormatTicket = formatTicket
	ParseTicket  = parseTicket
	Explain      = func(err error) error { return explain(err, keysOf("app")) }
	Returned     = func(err error) bool { return classify(err) == returned }
)

// answering is a client whose every script answers the same.
type answering struct {
	redis.Scripter
	answer any
}

func (a answering) EvalSha(ctx context.Context, _ string, _ []string, _ ...any) *redis.Cmd {
	cmd := redis.NewCmd(ctx)
	cmd.SetVal(a.answer)
	return cmd
}

// Decode takes a reply as that of each script, and returns what each makes of
// it.
func Decode(answer any) []error {
	c := defaults()
	s := newStore(answering{answer: answer}, &c)
	ctx := context.Background()
	_, claim := s.claim(ctx, claimCall{})
	_, identified := s.identified(ctx, &permit{})
	_, renew := s.renew(ctx, []renewal{{permit: &permit{}}})
	_, beat := s.beat(ctx, view{}, 0, make([]beatLine, 3))
	_, sync := s.sync(ctx, false, view{}, 0, 2, nil, false)
	_, status := s.status(ctx, 2)
	return []error{claim, identified, renew, s.abandon(ctx, 0, "", "00001@a#1"), beat, sync, status}
}

// Refreshed takes over what Discord has answered, asked just now.
func Refreshed(ctx context.Context, q *RedisQueue, limit gatewayqueue.SessionStartLimit) error {
	status, err := q.Status(ctx)
	if err != nil {
		return err
	}
	return q.update(ctx, &report{limit, status.Time.UnixMilli()})
}

// Observe has a queue hear an event.
func Observe(q *RedisQueue, e gatewayqueue.Event) { q.config.observe(e) }
