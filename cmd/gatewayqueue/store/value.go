// Values in Redis that make no sense: which it is, and what to type.

package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

var (
	key    = regexp.MustCompile(`identify:\{[^}]*\}:[a-z]+`)
	number = regexp.MustCompile(`^-?[0-9]{1,15}(\.[0-9]+)?$`)
)

// figures are fields of limits that must be whole numbers, and from which to which
// (lua/lib/limits.lua).
var figures = map[string]struct {
	least, most int64
	must        bool // it must be there
}{
	"seq":             {0, math.MaxInt64, true},
	"total":           {0, math.MaxInt64, true},
	"max_concurrency": {1, gatewayqueue.MaxConcurrencyBound, true},
	"reset_at":        {0, 1e15, false},
	"closed_until":    {0, 1e15, false},
}

// ExplainValue is Explain, and of a value that somebody has edited to what cannot
// be used it says which it is, and what to type.
func (s *Store) ExplainValue(ctx context.Context, err error) error {
	name := ""
	if errors.Is(err, redisqueue.ErrBadValue) {
		name = key.FindString(err.Error())
	}
	if name == "" {
		return s.Explain(err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if value, failed := s.Client.Get(ctx, name).Result(); failed == nil {
		return s.wrong(err, name, value, "SET '"+name+"' N KEEPTTL", ", with N as Discord has it (session_start_limit.remaining)")
	} else if errors.Is(failed, redis.Nil) {
		return s.Explain(err)
	}
	fields, failed := s.Client.HGetAll(ctx, name).Result()
	if failed != nil {
		return s.Explain(err)
	}
	if !strings.HasSuffix(name, ":limits") {
		for _, field := range slices.Sorted(maps.Keys(fields)) {
			if !number.MatchString(fields[field]) {
				return s.wrong(err, name+" "+field, fields[field], "HDEL '"+name+"' "+field, "")
			}
		}
		return s.Explain(err)
	}
	for _, field := range slices.Sorted(maps.Keys(figures)) {
		value, there := fields[field]
		want := figures[field]
		n, bad := strconv.ParseInt(value, 10, 64)
		switch {
		case !there && !want.must, there && bad == nil && n >= want.least && n <= want.most:
		case field == "closed_until":
			return s.wrong(err, name+" "+field, value, "HDEL '"+name+"' "+field, ": then every bucket is closed for 10 s, once")
		default:
			return s.wrong(err, name+" "+field, value, "DEL '"+name+"'", ": the next pod that waits writes it again, and every bucket is closed for 10 s, once")
		}
	}
	return s.Explain(err)
}

// wrong names the value, and the command for redis-cli that cures it.
func (s *Store) wrong(err error, what, value, command, effect string) error {
	return &wrongValue{fmt.Sprintf("%s is %.40q in Redis at %s, which cannot be used: type redis-cli -u %s %s%s", what, value, s, s, command, effect), err}
}

type wrongValue struct {
	text string
	err  error
}

func (e *wrongValue) Error() string { return e.text }
func (e *wrongValue) Unwrap() error { return e.err }
