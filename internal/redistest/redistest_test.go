package redistest_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatewayqueue/gatewayqueue/internal/child"
	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
)

func TestEachVersionStartsAndEnds(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b redistest.Binary) {
		version, err := b.Version()
		if err != nil {
			t.Fatal(err)
		}
		s := b.Start(t)
		if got, err := s.Client(t).Eval(t.Context(), "return {KEYS[1], redis.call('TIME')}", []string{"k"}).Result(); err != nil {
			t.Fatalf("%s: %v", version, err)
		} else {
			t.Logf("%s answers %v", version, got)
		}
		s.Stop()
		if s.Running() || dial(s.Addr) == nil {
			t.Fatal("the server runs on after Stop")
		}
	})
}

func TestRestartKeepsPortAndData(t *testing.T) {
	s := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	c := s.Client(t)
	if err := c.Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	s.Kill()
	if dial(s.Addr) == nil {
		t.Fatal("the server runs on after Kill")
	}
	s.Restart()
	if got, err := c.Get(t.Context(), "k").Result(); got != "v" {
		t.Fatalf("after a crash k is %q, %v: want v", got, err)
	}
}

func TestPausedServerAnswersAfterResume(t *testing.T) {
	s := redistest.Start(t)
	c := s.Client(t, func(o *redis.Options) { o.MaxRetries = -1; o.ReadTimeout = 100 * time.Millisecond })
	s.Pause()
	if err := c.Ping(t.Context()).Err(); err == nil {
		t.Fatal("a paused server answered")
	}
	s.Resume()
	if err := c.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	s.Pause() // a paused server must not outlive its test either
}

func TestEachVersionSpeaksTLS(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b redistest.Binary) {
		s := b.StartTLS(t, "--requirepass", "secret")
		if err := s.Client(t, func(o *redis.Options) { o.Password = "secret" }).Ping(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestClusterFailsOver(t *testing.T) {
	c := redistest.StartCluster(t, 3, 1)
	// By default go-redis asks a dead master's slots of nobody else for 60 s.
	client := c.Client(t, func(o *redis.ClusterOptions) { o.ClusterStateReloadInterval = time.Second })
	write := func() error { return client.Set(t.Context(), "{1}:k", "v", 0).Err() }
	if err := write(); err != nil {
		t.Fatal(err)
	}
	old := c.Owner(t, "{1}:k")
	old.Kill()
	within(t, 15*time.Second, write)
	if c.Owner(t, "{1}:k") == old {
		t.Fatal("a dead node still owns the key")
	}
	old.Restart()
	c.AwaitOK(t)
}

func TestSentinelsNameANewMaster(t *testing.T) {
	s := redistest.StartSentinel(t, 2)
	client := s.Client(t)
	old := s.Master(t)
	old.Kill()
	within(t, 15*time.Second, func() error { return client.Set(t.Context(), "k", "v", 0).Err() })
	within(t, 15*time.Second, func() error { // the first Sentinel may be the last to hear of it
		if s.Master(t) == old {
			return errors.New("the first Sentinel still names the dead master")
		}
		return nil
	})
}

// A test process that is killed runs no cleanup; its servers must end all the
// same. This one starts itself again, kills that and looks for the server.
func TestServersEndWithAKilledProcess(t *testing.T) {
	const childVar = "REDISTEST_CHILD"
	if os.Getenv(childVar) != "" {
		fmt.Println(redistest.Start(t).Addr)
		select {}
	}
	redistest.Default(t)
	if !child.EndsWithParent {
		t.Skip("this system lets a child outlive its parent")
	}
	child := exec.Command(os.Args[0], "-test.run=^TestServersEndWithAKilledProcess$", "-test.v=false")
	child.Env = append(os.Environ(), childVar+"=1")
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 64)
	n, err := out.Read(buf)
	_ = child.Process.Kill()
	_ = child.Wait()
	if err != nil {
		t.Fatal(err)
	}
	addr := strings.TrimSpace(string(buf[:n]))
	within(t, 5*time.Second, func() error {
		if dial(addr) == nil {
			return errors.New("the server outlives the process that started it")
		}
		return nil
	})
}

func dial(addr string) error {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err == nil {
		_ = conn.Close()
	}
	return err
}

func within(t *testing.T, limit time.Duration, try func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("not within %v: %v", limit, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
