// How the queue on Redis is to be, as every server has it.

package server

import (
	"time"

	"github.com/spf13/pflag"

	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/cli"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

const reserveByTotal = -1

// QueueSettings are those that only a queue on Redis has.
type QueueSettings struct {
	Reserve, Backoff, Replicas int
	History                    bool // what was granted is kept for a day
}

// DefaultQueueSettings are those of which nobody has said anything.
func DefaultQueueSettings() QueueSettings {
	return QueueSettings{Reserve: reserveByTotal, Backoff: redisqueue.DefaultBackoff, History: true}
}

// DefineQueue defines them. more is said of --backoff besides.
func (s *QueueSettings) DefineQueue(flags *pflag.FlagSet, more string) {
	cli.Int(flags, &s.Reserve, "reserve", 0, 10_000_000, "with --redis: identifies a day that are never\ngranted (default: 1 % of the total, 10 at most;\nmax_concurrency if that is more)")
	cli.Int(flags, &s.Backoff, "backoff", 0, 10_000_000, "with --redis: identifies a day from which a shard\nbacks off before the next; 0 is never"+more)
	cli.Int(flags, &s.Replicas, "replicas", 0, 100, "with --redis: a grant counts once so many replicas\nhave it; give every server, proxy and bot the same,\nthe number of all replicas (default: 0)")
	flags.BoolVar(&s.History, "history", s.History, "keep for a day what was granted in each minute, for\ngatewayqueue history and the page; --history=false\nfor not")
	flags.Lookup("reserve").DefValue = ""
	flags.Lookup("replicas").DefValue = "" // both said in words
}

// NeedRedis refuses them, and more flags, where there is no Redis.
func (s *QueueSettings) NeedRedis(flags *pflag.FlagSet, more ...string) error {
	for _, name := range append([]string{"reserve", "replicas", "backoff"}, more...) {
		if flags.Changed(name) {
			return cli.Usage("--%s needs --redis", name)
		}
	}
	return nil
}

// Options are those of the queue; pod is empty for the host's name.
func (s *QueueSettings) Options(pod string, refresh, window time.Duration, freshStart bool) []redisqueue.Option {
	options := []redisqueue.Option{
		redisqueue.WithRefresh(refresh), redisqueue.WithWindow(window), redisqueue.WithBackoff(s.Backoff), redisqueue.WithReplicas(s.Replicas),
	}
	if pod != "" {
		options = append(options, redisqueue.WithPod(pod))
	}
	if s.Reserve != reserveByTotal {
		options = append(options, redisqueue.WithReserve(s.Reserve))
	}
	if s.History {
		options = append(options, redisqueue.WithHistory())
	}
	if freshStart {
		options = append(options, redisqueue.WithFreshStart())
	}
	return options
}
