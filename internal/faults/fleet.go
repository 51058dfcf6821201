package faults

// The fleet: pods as processes, what they say, and new ones for those that end.

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatewayqueue/gatewayqueue/internal/child"
)

// berth is where one pod after another runs, with the same shards and link.
type berth struct {
	index   int
	link    *link // nil without proxies
	config  podConfig
	discord *discord // of its bot

	busy  sync.Mutex // held while a fault stops or kills its pods
	mu    sync.Mutex
	pod   *process
	lives int
}

type process struct {
	name  string
	bot   int
	cmd   *exec.Cmd
	stdin io.WriteCloser
	done  chan struct{} // closed when it has ended and all it said was heard
	err   error
}

// seat is a shard of one of the bots.
type seat struct{ bot, shard int }

// fleet is all pods of a run.
type fleet struct {
	t      testing.TB
	dir    string // of the pods' logs
	berths []*berth
	heard  func(event)

	mu       sync.Mutex
	events   []event
	errors   []string
	served   map[seat]int
	draining bool
	ending   bool
	watchers sync.WaitGroup
}

// oldVar is the path of this suite as a release had it, built with go test -c: its pods
// work beside those of now.
const oldVar = "GATEWAYQUEUE_FAULTS_OLD"

func newFleet(t testing.TB, dir string, heard func(event)) *fleet {
	f := &fleet{t: t, dir: dir, heard: heard, served: make(map[seat]int)}
	t.Cleanup(func() { f.end(0) })
	return f
}

// launch starts a pod in a berth, for those of its shards that still need it.
func (f *fleet) launch(b *berth) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f.mu.Lock()
	if f.ending {
		f.mu.Unlock()
		return
	}
	config, draining := b.config, f.draining
	if draining {
		config.Shards = slices.DeleteFunc(slices.Clone(config.Shards), func(s int) bool { return f.served[seat{config.Bot, s}] > 0 })
	}
	f.watchers.Add(1)
	f.mu.Unlock()
	b.lives++
	config.Name = fmt.Sprintf("p%d-%d", b.index, b.lives)
	config.Seed += uint64(b.lives)
	config.Other = config.Versions && (b.index+b.lives)%2 == 0
	p, stdout, err := f.start(config)
	if err != nil {
		f.watchers.Done()
		f.fail("start a pod: " + err.Error())
		return
	}
	b.pod = p
	if draining {
		p.order("drain")
	}
	go func() {
		defer f.watchers.Done()
		f.listen(p, stdout)
	}()
}

func (f *fleet) start(config podConfig) (*process, io.Reader, error) {
	text, err := json.Marshal(config)
	if err != nil {
		return nil, nil, err
	}
	program := os.Args[0]
	if old := os.Getenv(oldVar); old != "" && config.Other && config.Role == "" {
		program = old
	}
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), podVar+"="+string(text), "GOMAXPROCS=1")
	log, err := os.Create(filepath.Join(f.dir, config.Name+".log"))
	if err != nil {
		return nil, nil, err
	}
	defer log.Close()
	cmd.Stderr = log
	p := &process{name: config.Name, bot: config.Bot, cmd: cmd, done: make(chan struct{})}
	if p.stdin, err = cmd.StdinPipe(); err != nil {
		return nil, nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	return p, stdout, child.Start(cmd)
}

// listen hears all that a pod says, to its end.
func (f *fleet) listen(p *process, stdout io.Reader) {
	defer close(p.done)
	closed := false
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		e, err := parseEvent(p.name, lines.Text())
		if err != nil {
			f.fail(err.Error())
			continue
		}
		e.bot = p.bot
		closed = closed || e.kind == "closed"
		f.mu.Lock()
		f.events = append(f.events, e)
		switch e.kind {
		case "identify":
			f.served[seat{e.bot, e.shard}]++
		case "error":
			f.errors = append(f.errors, e.String())
		}
		f.mu.Unlock()
		f.heard(e)
	}
	f.mu.Lock()
	f.events = append(f.events, event{at: clock(), kind: "ended", pod: p.name, bot: p.bot})
	f.mu.Unlock()
	if p.err = p.cmd.Wait(); p.err != nil && !strings.Contains(p.err.Error(), "killed") {
		f.fail(fmt.Sprintf("pod %s ended: %v", p.name, p.err))
	} else if p.err == nil && !closed {
		f.fail(fmt.Sprintf("pod %s ended without closing", p.name))
	}
}

func (f *fleet) fail(text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.errors = append(f.errors, text)
}

func (p *process) order(line string) {
	_, _ = io.WriteString(p.stdin, line+"\n") // to a dead pod: it is replaced
}

// current is the pod in the berth, nil before the first.
func (b *berth) current() *process {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.pod
}

// order tells the berth's pod to do something. One that has died does nothing.
func (b *berth) order(line string) {
	if p := b.current(); p != nil {
		p.order(line)
	}
}

// kill ends the berth's pod as a crash would, and returns when all it said was
// heard.
func (b *berth) kill() {
	if p := b.current(); p != nil {
		_ = p.cmd.Process.Kill() // an error means that it has ended
		<-p.done
	}
}

// stop ends the berth's pod as a deployment does: first it is asked to end. It
// says whether the pod had to be killed.
func (b *berth) stop(within time.Duration) (killed bool) {
	p := b.current()
	if p == nil {
		return false
	}
	_ = p.stdin.Close()
	select {
	case <-p.done:
		return false
	case <-time.After(within):
		b.kill()
		return true
	}
}

// drain tells all pods that each shard need come up only once more, if at all.
func (f *fleet) drain() {
	f.mu.Lock()
	f.draining = true
	f.mu.Unlock()
	for _, b := range f.berths {
		b.order("drain")
	}
}

// end stops all pods; those that do not end within that time are killed.
func (f *fleet) end(within time.Duration) {
	f.mu.Lock()
	f.ending = true
	f.mu.Unlock()
	var all sync.WaitGroup
	for _, b := range f.berths {
		all.Go(func() { b.stop(within) })
	}
	all.Wait()
	f.watchers.Wait()
}

// unserved are the shards that never came up.
func (f *fleet) unserved() []seat {
	f.mu.Lock()
	defer f.mu.Unlock()
	var none []seat
	for _, b := range f.berths {
		for _, shard := range b.config.Shards {
			if at := (seat{b.config.Bot, shard}); f.served[at] == 0 {
				none = append(none, at)
			}
		}
	}
	return none
}

// record is all that was said so far.
func (f *fleet) record() []event {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.events)
}
