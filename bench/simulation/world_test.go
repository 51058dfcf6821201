package simulation

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
)

func TestTheServersClockIsTheBubbles(t *testing.T) {
	redistest.Default(t) // or skip
	world, err := Open(t.TempDir())
	if errors.Is(err, ErrNoClock) {
		needClock(t, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer world.Close()
	synctest.Test(t, func(t *testing.T) {
		f := &fleet{world: world}
		client := f.wire()
		defer client.Close()
		if err := f.follows(); err != nil {
			t.Fatal(err)
		}
		later := func(d time.Duration) {
			time.Sleep(d)
			if err := world.tell(time.Now()); err != nil {
				t.Fatal(err)
			}
		}
		ctx := t.Context()
		client.Set(ctx, "key", 1, time.Second)
		later(999 * time.Millisecond)
		if left := client.PTTL(ctx, "key").Val(); left != time.Millisecond {
			t.Errorf("a millisecond before its end a key lives for %v", left)
		}
		later(2 * time.Millisecond) // it lives to the end of its last one
		if n := client.Exists(ctx, "key").Val(); n != 0 {
			t.Error("a key outlives its end")
		}
		for i := range 100 {
			client.Set(ctx, fmt.Sprint(i), 1, time.Hour)
		}
		later(time.Hour + time.Second)
		if !vanish(t, client.Client) {
			t.Error("keys that nobody asks for are not expired")
		}
	})
}

// vanish waits in real time, in which Redis looks for expired keys: asking
// takes some.
func vanish(t *testing.T, client *redis.Client) bool {
	for range 100_000 {
		n, err := client.DBSize(t.Context()).Result()
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			return true
		}
	}
	return false
}
