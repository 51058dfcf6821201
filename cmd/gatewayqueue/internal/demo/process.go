// How the fleet holds a pod that is a process of its own: this program again,
// with a hidden command. Orders go to its standard input, events come from its
// standard output.

package demo

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"time"
)

// stopWithin is how long a process may take to close its queue.
const stopWithin = 5 * time.Second

// child is a member that is a process.
type child struct {
	spec
	cmd   *exec.Cmd
	input io.WriteCloser
	last  atomic.Int64 // script calls it has told of
	quiet atomic.Bool  // its end is no news
	gone  chan struct{}
}

// newChild starts the process and returns once it is ready. crashed is called
// if it ends before it was killed or stopped.
func newChild(ctx context.Context, s spec, tell func(event), crashed func(error)) (*child, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("--processes: this program cannot find itself: %w", err)
	}
	c := &child{spec: s, cmd: exec.Command(program, "demo", podCommand), gone: make(chan struct{})}
	var complaint tail
	c.cmd.Stderr = &complaint
	output, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if c.input, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("--processes: %w", err)
	}
	isReady := make(chan struct{})
	go func() {
		finished := c.listen(output, tell, func() { close(isReady) })
		err := c.cmd.Wait()
		close(c.gone)
		if !finished && !c.quiet.Load() {
			crashed(fmt.Errorf("process of %s ended: %w %s", s.Pod, orExit(err), complaint.String()))
		}
	}()
	// The orders hold the Redis URL: as an argument, ps would show its password.
	if err := json.NewEncoder(c.input).Encode(s); err != nil {
		return nil, fmt.Errorf("%s does not listen: %w", s.Pod, err)
	}
	select {
	case <-isReady:
		return c, nil
	case <-c.gone:
		return nil, fmt.Errorf("process of %s did not start: %s", s.Pod, complaint.String())
	case <-ctx.Done():
		c.kill()
		return nil, context.Cause(ctx)
	}
}

// listen passes on what the process tells, and reports whether it ended well.
func (c *child) listen(output io.Reader, tell func(event), isReady func()) (finished bool) {
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			continue
		}
		c.last.Store(max(c.last.Load(), e.Calls))
		switch e.Kind {
		case ready:
			isReady()
		case ended:
			finished = true
		default:
			tell(e)
		}
	}
	return finished
}

func (c *child) start() { fmt.Fprintln(c.input, "start") } // A dead process is noticed by its end.

// kill returns when the process is gone and all that it said was heard.
func (c *child) kill() {
	c.quiet.Store(true)
	_ = c.cmd.Process.Kill() // It may be gone already.
	<-c.gone
}

// stop closes its input, which it takes as the order to end.
func (c *child) stop() {
	_ = c.input.Close() // As above.
	select {
	case <-c.gone:
	case <-time.After(stopWithin):
		c.kill()
	}
}

func (c *child) calls() int64 { return c.last.Load() }

// tail keeps the last line that was written to it.
type tail struct{ text strings.Builder }

func (t *tail) Write(p []byte) (int, error) { return t.text.Write(p) }

func (t *tail) String() string {
	lines := strings.Split(strings.TrimSpace(t.text.String()), "\n")
	return lines[len(lines)-1]
}

func orExit(err error) error {
	if err == nil {
		return fmt.Errorf("exit status 0")
	}
	return err
}
