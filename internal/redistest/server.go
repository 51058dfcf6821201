package redistest

// One server process: its start, its ways to end and to pause, its clients.

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// readyTimeout bounds a start: 20-50 ms as a rule, far more on a busy machine
// or while an append-only file is loaded.
const readyTimeout = 20 * time.Second

// Server is one running server. Its methods may be used from any goroutine;
// those that act on the process end the test if they cannot.
type Server struct {
	Addr string // 127.0.0.1:port
	Port int
	Dir  string // holds the data files and redis.log

	tls    *tls.Config // for clients; nil without TLS
	binary Binary
	args   []string
	t      testing.TB

	mu   sync.Mutex
	cmd  *exec.Cmd
	done chan struct{} // closed when cmd has ended
}

// Start starts a server of this program as [Start] does.
func (b Binary) Start(t testing.TB, args ...string) *Server {
	t.Helper()
	port := reservePort(t)
	s := b.newServer(t, port)
	s.args = append(append(s.defaults(), "--port", strconv.Itoa(port)), args...)
	s.start(nil)
	return s
}

func (s *Server) defaults() []string {
	return []string{
		"--bind", "127.0.0.1", "--dir", s.Dir,
		"--save", "", "--appendonly", "no", "--daemonize", "no",
		"--repl-diskless-sync-delay", "0", // 5 s by default, all of it idle
	}
}

func (b Binary) newServer(t testing.TB, port int) *Server {
	s := &Server{
		Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), Port: port,
		Dir: t.TempDir(), binary: b, t: t,
	}
	t.Cleanup(func() {
		s.Kill()
		if t.Failed() {
			t.Logf("the last lines of the server on port %d:\n%s", port, s.logTail())
		}
	})
	return s
}

// Stop asks the server to end (SIGTERM: it saves what it is configured to
// save) and returns when it has. Stopping a server that is down does nothing.
func (s *Server) Stop() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		return
	}
	if err := terminate(s.cmd.Process); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.t.Errorf("redistest: stop the server on port %d: %v", s.Port, err)
	}
	select {
	case <-s.done:
	case <-time.After(5 * time.Second):
		s.t.Errorf("redistest: the server on port %d did not end within 5s of SIGTERM", s.Port)
	}
	s.kill()
}

// Kill ends the server with SIGKILL, as a crash would, and returns when it is
// gone.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kill()
}

func (s *Server) kill() {
	if s.cmd == nil {
		return
	}
	_ = killAll(s.cmd.Process) // an error means that it has ended
	<-s.done
	s.cmd = nil
}

// Pause stops the process with SIGSTOP: its connections stay open and nothing
// answers. Where the system has no such signal the test is skipped.
func (s *Server) Pause() { s.t.Helper(); s.signal("pause", pause) }

// Resume lets a paused server go on.
func (s *Server) Resume() { s.t.Helper(); s.signal("resume", resume) }

func (s *Server) signal(what string, send func(*os.Process) error) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		s.t.Fatalf("redistest: cannot %s the server on port %d: it is not running", what, s.Port)
	}
	switch err := send(s.cmd.Process); {
	case errors.Is(err, errors.ErrUnsupported):
		s.t.Skipf("redistest: cannot %s a process on this system", what)
	case err != nil:
		s.t.Fatalf("redistest: %s the server on port %d: %v", what, s.Port, err)
	}
}

// Restart starts the server again on the same port and directory, with args
// added to those of its first start for this run only. A server that still runs
// is asked to stop first; Kill it before for a crash.
func (s *Server) Restart(args ...string) {
	s.t.Helper()
	s.Stop()
	s.start(args)
}

// Running says whether the process is there (a paused one is).
func (s *Server) Running() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		return false
	}
	select {
	case <-s.done:
		return false
	default:
		return true
	}
}

// Client returns a client of this server, closed when the test ends. Each of
// opts may change its options, such as the protocol or a password.
func (s *Server) Client(t testing.TB, opts ...func(*redis.Options)) *redis.Client {
	t.Helper()
	options := &redis.Options{Addr: s.Addr, TLSConfig: s.tls}
	for _, opt := range opts {
		opt(options)
	}
	c := redis.NewClient(options)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func (s *Server) start(extra []string) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()

	log, err := os.OpenFile(s.logFile(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		s.t.Fatalf("redistest: %v", err)
	}
	defer log.Close()
	cmd := exec.Command(s.binary.Path, slices.Concat(s.args, extra)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.Dir, log, log
	if err := spawn(cmd); err != nil {
		s.t.Fatalf("redistest: start %s: %v", s.binary.Path, err)
	}
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(done)
	}()
	s.cmd, s.done = cmd, done

	if err := s.awaitReady(); err != nil {
		s.kill()
		s.t.Fatalf("redistest: %s on port %d: %v; its last lines:\n%s", s.binary.Path, s.Port, err, s.logTail())
	}
}

func (s *Server) awaitReady() error {
	var err error
	for end := time.Now().Add(readyTimeout); time.Now().Before(end); {
		select {
		case <-s.done:
			return errors.New("ended at once")
		case <-time.After(5 * time.Millisecond):
		}
		if err = s.ping(); err == nil {
			return nil
		}
	}
	return fmt.Errorf("not ready within %v: %w", readyTimeout, err)
}

// ping asks without a client, whose pool would dial and log on its own. Any
// answer but LOADING is one, also NOAUTH.
func (s *Server) ping() error {
	conn, err := net.DialTimeout("tcp", s.Addr, time.Second)
	if err != nil {
		return err
	}
	if s.tls != nil {
		conn = tls.Client(conn, s.tls)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return err
	}
	if strings.HasPrefix(line, "-LOADING") {
		return errors.New(strings.TrimSpace(line))
	}
	return nil
}

func (s *Server) logFile() string { return filepath.Join(s.Dir, "redis.log") }

func (s *Server) logTail() []byte {
	text, err := os.ReadFile(s.logFile())
	if err != nil {
		return []byte(err.Error())
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return bytes.Join(lines[max(0, len(lines)-20):], []byte("\n"))
}

// eventually tries until it works, for at most readyTimeout.
func eventually(t testing.TB, what string, try func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
	defer cancel()
	for {
		err := try(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("redistest: %s: %v", what, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
