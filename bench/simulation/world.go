package simulation

// The one thing outside: a real redis-server whose clock is the bubble's.

import (
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/gatewayqueue/gatewayqueue/bench/server"
)

// shim gives the server its clock. libfaketime cannot: the allocator of
// Debian's redis-server, jemalloc, asks for the time before libfaketime is
// ready, and the server dies at its start.
//
//go:embed shim/clock.c
var shim string

// ErrNoClock says that no server here can be made to follow a clock.
var ErrNoClock = errors.New("simulation: no C compiler, or a system without LD_PRELOAD: the server's clock cannot be set")

// World is a server and its clock. It is made outside the bubble, because to
// wait for a process would stop the bubble's time.
type World struct {
	server *server.Server
	page   *os.File

	mu  sync.Mutex
	set int64 // what the page says
}

// Open starts a server. dir is for its clock, and must outlive it.
func Open(dir string) (*World, error) {
	library, err := build(dir)
	if err != nil {
		return nil, err
	}
	page, err := os.Create(filepath.Join(dir, "clock"))
	if err != nil {
		return nil, err
	}
	w := &World{page: page}
	if err := w.tell(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)); err != nil { // when every bubble begins
		return nil, err
	}
	// jemalloc's background thread sleeps by this clock, and would not sleep at all.
	w.server, err = server.StartWith([]string{"LD_PRELOAD=" + library, "GATEWAYQUEUE_CLOCK=" + page.Name()}, "--jemalloc-bg-thread", "no")
	return w, err
}

// Close ends the server.
func (w *World) Close() {
	w.server.Stop()
	_ = w.page.Close() // it was only a clock
}

func build(dir string) (string, error) {
	cc, err := exec.LookPath("cc")
	if err != nil {
		return "", ErrNoClock
	}
	source, library := filepath.Join(dir, "clock.c"), filepath.Join(dir, "clock.so")
	if err := os.WriteFile(source, []byte(shim), 0o600); err != nil {
		return "", err
	}
	if out, err := exec.Command(cc, "-O2", "-shared", "-fPIC", "-o", library, source).CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", ErrNoClock, out)
	}
	return library, nil
}

// tell sets the server's clock, before anything is sent to it at that time.
func (w *World) tell(now time.Time) error {
	micros := now.UnixMicro()
	w.mu.Lock()
	defer w.mu.Unlock()
	if micros == w.set {
		return nil
	}
	w.set = micros
	_, err := w.page.WriteAt(binary.NativeEndian.AppendUint64(nil, uint64(micros)), 0)
	return err
}
