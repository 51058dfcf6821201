// Package server runs a real redis-server for one run of a benchmark, and reads
// from it what the run cost.
package server

// One server process, from its start to its certain end.

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gatewayqueue/gatewayqueue/internal/child"
)

// Server is a redis-server on loopback, on a port of its own, that keeps
// nothing on disk.
type Server struct {
	Addr string
	cmd  *exec.Cmd
	dir  string
	done chan struct{} // closed when the process has ended
}

// binaryVar names another server program than the redis-server in PATH; it is
// the variable that the project's tests use.
const binaryVar = "GATEWAYQUEUE_REDIS_SERVER"

// Ports below those that Linux lends out to clients, apart from those of the
// tests (internal/redistest).
const (
	firstPort = 18000
	ports     = 1900
)

// started spreads the servers of one process over the ports.
var started atomic.Int64

const readyTimeout = 10 * time.Second

// Start starts a server and returns when it answers.
func Start() (*Server, error) { return StartWith(nil) }

// StartWith is Start with something added to the server's environment, and to
// its arguments.
func StartWith(env []string, args ...string) (*Server, error) {
	dir, err := os.MkdirTemp("", "gatewayqueue-bench-*")
	if err != nil {
		return nil, err
	}
	var last error
	for try := range 50 {
		port := firstPort + (os.Getpid()*31+int(started.Add(7))+try*97)%ports
		s, err := start(dir, port, env, args)
		if err == nil {
			return s, nil
		}
		last = err
	}
	_ = os.RemoveAll(dir)
	return nil, fmt.Errorf("server: %w", last)
}

func start(dir string, port int, env, args []string) (*Server, error) {
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	guard, err := net.Listen("tcp", addr) // somebody else's server would answer, too
	if err != nil {
		return nil, err
	}
	_ = guard.Close()
	cmd := exec.Command(binary(), append([]string{
		"--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--dir", dir, "--daemonize", "no",
		"--save", "", "--appendonly", "no", "--logfile", "redis.log",
		"--latency-tracking-info-percentiles", "50 99 100",
	}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	if err := child.Start(cmd); err != nil {
		return nil, err
	}
	s := &Server{Addr: addr, cmd: cmd, dir: dir, done: make(chan struct{})}
	go func() {
		_ = cmd.Wait()
		close(s.done)
	}()
	for end := time.Now().Add(readyTimeout); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		select {
		case <-s.done:
			return nil, fmt.Errorf("%s ended at once: %s", cmd.Path, s.log())
		default:
		}
		if s.ping() == nil {
			return s, nil
		}
	}
	s.kill()
	return nil, errors.New("not ready in time: " + s.log())
}

// Stop ends the server and removes its files.
func (s *Server) Stop() {
	s.kill()
	_ = os.RemoveAll(s.dir)
}

func (s *Server) kill() {
	_ = s.cmd.Process.Kill() // an error means that it has ended
	<-s.done
}

func (s *Server) ping() error {
	conn, err := net.DialTimeout("tcp", s.Addr, time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err == nil && !strings.HasPrefix(line, "+PONG") {
		err = fmt.Errorf("PING is answered with %q", line)
	}
	return err
}

func (s *Server) log() string {
	text, _ := os.ReadFile(s.dir + "/redis.log")
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return lines[len(lines)-1]
}

// Version is what the server program says of itself, such as "Redis 7.0.15".
func Version() (string, error) {
	out, err := exec.Command(binary(), "--version").Output()
	if err != nil {
		return "", err
	}
	fields := strings.Fields(string(out))
	if len(fields) < 3 {
		return "", fmt.Errorf("server: --version says %q", out)
	}
	return fields[0] + " " + strings.TrimPrefix(fields[2], "v="), nil
}

func binary() string {
	if path := os.Getenv(binaryVar); path != "" {
		return path
	}
	return "redis-server"
}
