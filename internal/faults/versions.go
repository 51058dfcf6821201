package faults

// What a pod's client changes in the scripts that it sends: a day into the plan's
// period, and the text, as another version of the library would have it.

import (
	"context"
	"crypto/sha1" //nolint:gosec // as Redis has it
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/gatewayqueue/gatewayqueue"
)

// client is the pod's client of Redis.
func (c podConfig) client() redis.UniversalClient {
	client := c.Servers.client(c.ReadTimeout, c.PoolSize)
	h := &scriptHook{other: c.Other, known: make(map[string]string)}
	if c.Period > 0 {
		h.period = fmt.Sprint(c.Period.Milliseconds())
	}
	client.AddHook(h)
	return client
}

// scriptHook changes EVALSHA and EVAL.
type scriptHook struct {
	period string // instead of a day, in ms; "" is a day
	other  bool   // send another text

	mu    sync.Mutex
	known map[string]string // the hash of our text by that of the library's
}

var day = fmt.Sprint(gatewayqueue.LimitPeriod.Milliseconds())

func (h *scriptHook) change(cmd redis.Cmder) error {
	args := cmd.Args()
	name := strings.ToLower(fmt.Sprint(args[0]))
	if name != "eval" && name != "evalsha" {
		return nil
	}
	for i := 2; h.period != "" && i < len(args); i++ {
		if fmt.Sprint(args[i]) == day {
			args[i] = h.period
		}
	}
	if !h.other {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	text := fmt.Sprint(args[1])
	if name == "evalsha" {
		if h.known[text] == "" {
			return noScript{errors.New("NOSCRIPT No matching script")}
		}
		args[1] = h.known[text]
		return nil
	}
	if !strings.HasSuffix(text, otherText) { // else it is sent again
		args[1] = text + otherText
		h.known[hash(text)] = hash(text + otherText)
	}
	return nil
}

const otherText = "\n-- another version\n"

func hash(text string) string {
	sum := sha1.Sum([]byte(text)) //nolint:gosec // as Redis has it
	return hex.EncodeToString(sum[:])
}

// noScript is what the server would say.
type noScript struct{ error }

func (noScript) RedisError() {}

func (h *scriptHook) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *scriptHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if err := h.change(cmd); err != nil {
			cmd.SetErr(err)
			return err
		}
		return next(ctx, cmd)
	}
}

func (h *scriptHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		for _, cmd := range cmds {
			if err := h.change(cmd); err != nil {
				for _, c := range cmds {
					c.SetErr(err)
				}
				return err
			}
		}
		return next(ctx, cmds)
	}
}
