package proxy

// The processes of a run: this program, started again, which takes orders on its
// input and answers on its output, a line of JSON each.

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/gatewayqueue/gatewayqueue/bench/workload"
	"github.com/gatewayqueue/gatewayqueue/internal/child"
)

// Role is the first argument of a process that this package starts.
const Role = "proxy-role"

var cores = float64(runtime.NumCPU())

// orders are what a process can be told to do, by name.
type orders map[string]func(json.RawMessage) (any, error)

type order struct {
	Do   string
	With json.RawMessage
}

type answer struct {
	Error string          `json:",omitempty"`
	Said  json.RawMessage `json:",omitempty"`
}

// Serve is the life of such a process. It ends with its input.
func Serve(args []string) error {
	if len(args) != 2 {
		return errors.New("a role, and its settings in JSON")
	}
	role, ok := map[string]func([]byte) (orders, any, error){"source": newSource, "sink": newSink, "proxy": newProxy}[args[0]]
	if !ok {
		return fmt.Errorf("no role %q", args[0])
	}
	able, hello, err := role([]byte(args[1]))
	say := func(said any, err error) error {
		a := answer{}
		if err != nil {
			a.Error = err.Error()
		} else if a.Said, err = json.Marshal(said); err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(a)
	}
	if err := say(hello, err); err != nil {
		return err
	}
	able["usage"] = func(json.RawMessage) (any, error) { return use() }
	in := json.NewDecoder(os.Stdin)
	for {
		var o order
		if err := in.Decode(&o); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := say(able[o.Do](o.With)); err != nil {
			return err
		}
	}
}

// usage is what a process has used.
type usage struct {
	CPU time.Duration // user and system
	RSS int64         // bytes
}

func use() (u usage, err error) {
	u.CPU = workload.ProcessCPU()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return u, err
	}
	for line := range strings.Lines(string(status)) {
		if n, err := fmt.Sscanf(line, "VmRSS: %d kB", &u.RSS); n == 1 && err == nil {
			u.RSS <<= 10
			return u, nil
		}
	}
	return u, errors.New("no VmRSS in /proc/self/status")
}

// process is one that was started.
type process struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// start starts a process, and reads what it says first.
func start(role string, settings, hello any) (*process, error) {
	text, err := json.Marshal(settings)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.Command(self, Role, role, string(text))} //nolint:gosec // This program itself.
	p.cmd.Stderr = os.Stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	if err := child.Start(p.cmd); err != nil {
		return nil, err
	}
	if err := p.hears(hello); err != nil {
		p.stop()
		return nil, fmt.Errorf("%s: %w", role, err)
	}
	return p, nil
}

func (p *process) hears(said any) error {
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		return err
	}
	var a answer
	if err := json.Unmarshal(line, &a); err != nil {
		return err
	}
	switch {
	case a.Error != "":
		return errors.New(a.Error)
	case said == nil:
		return nil
	}
	return json.Unmarshal(a.Said, said)
}

// do gives an order and waits until it is done.
func (p *process) do(what string, with, said any) error {
	text, err := json.Marshal(with)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(p.in).Encode(order{what, text}); err != nil {
		return err
	}
	if err := p.hears(said); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

func (p *process) usage() (u usage, err error) {
	if p == nil { // nothing stands between
		return u, nil
	}
	err = p.do("usage", nil, &u)
	return u, err
}

func (p *process) stop() {
	if p == nil {
		return
	}
	_ = p.in.Close()
	_ = p.cmd.Wait()
}

// profiled writes a process's CPU profile and heap into a directory, where the
// environment names one.
func profiled(able orders, name string) {
	dir := os.Getenv("GATEWAYQUEUE_BENCH_PROFILES")
	if dir == "" {
		return
	}
	file := func(kind string) (*os.File, error) { return os.CreateTemp(dir, name+"-"+kind+"-*.pprof") }
	var cpu *os.File
	able["profile"] = func(raw json.RawMessage) (any, error) {
		var on bool
		if err := json.Unmarshal(raw, &on); err != nil {
			return nil, err
		}
		if !on {
			pprof.StopCPUProfile()
			return nil, cpu.Close()
		}
		heap, err := file("heap")
		if err != nil {
			return nil, err
		}
		runtime.GC()
		if err := errors.Join(pprof.Lookup("heap").WriteTo(heap, 0), heap.Close()); err != nil {
			return nil, err
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		fmt.Fprintf(os.Stderr, "%s: heap %d KiB, in use %d (idle %d, released %d), stacks %d KiB, goroutines %d\n",
			name, m.HeapAlloc>>10, m.HeapInuse>>10, m.HeapIdle>>10, m.HeapReleased>>10, m.StackInuse>>10, runtime.NumGoroutine())
		if cpu, err = file("cpu"); err != nil {
			return nil, err
		}
		return nil, pprof.StartCPUProfile(cpu)
	}
}
