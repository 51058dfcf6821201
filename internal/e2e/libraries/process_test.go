// Processes: the servers and the bots. They end with their test.

package libraries

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/internal/child"
)

// process is one that runs, or ran.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{}

	mu  sync.Mutex
	log bytes.Buffer
}

// Write takes what the process says.
func (p *process) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(text)
}

// said is the end of what the process has said.
func (p *process) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	text := p.log.Bytes()
	return string(text[max(0, len(text)-6000):])
}

// start starts a program in dir, with env over the test's own. The fake Discord goes
// before it: an IDENTIFY that is read late is one that came late.
func start(t *testing.T, dir string, env []string, name string, args ...string) *process {
	t.Helper()
	args = append([]string{"-n", "4", name}, args...)
	p := &process{cmd: exec.Command("nice", args...), ended: make(chan struct{})}
	p.cmd.Dir, p.cmd.Env = dir, append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = io.Writer(p), io.Writer(p)
	require.NoError(t, child.Start(p.cmd))
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // how it ended shows in what it said
	}()
	t.Cleanup(func() { p.end(syscall.SIGKILL) })
	return p
}

// end sends a signal, and waits until the process has ended.
func (p *process) end(signal syscall.Signal) {
	_ = p.cmd.Process.Signal(signal) // it may have ended
	kill := time.AfterFunc(30*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer kill.Stop()
	<-p.ended
}

// address waits until a gatewayqueue serve says where it serves.
func (p *process) address(t *testing.T) string {
	t.Helper()
	serving := regexp.MustCompile(`msg=serving.*url=http://([^ \n]+)`)
	for deadline := time.After(time.Minute); ; {
		if found := serving.FindStringSubmatch(p.said()); found != nil {
			return found[1]
		}
		select {
		case <-time.After(10 * time.Millisecond):
			continue
		case <-p.ended:
		case <-deadline:
		}
		break
	}
	t.Fatalf("a server does not start: %s", p.said())
	return ""
}
