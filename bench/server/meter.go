package server

// What a run cost the server, from INFO: the difference between two readings.

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Meter reads a server's counters over a connection of its own.
type Meter struct{ client *redis.Client }

// Reading is the state of the counters at one moment.
type Reading struct {
	At       time.Time
	CPU      time.Duration // of the server's process, user and system
	In, Out  float64       // bytes
	commands map[string]command
	slowest  map[string]float64 // us, by command; empty before Redis 7
	size     float64            // of this reading's own reply
}

type command struct{ calls, usec float64 }

// NewMeter connects to the server.
func (s *Server) NewMeter() *Meter {
	return &Meter{redis.NewClient(&redis.Options{Addr: s.Addr, PoolSize: 1})}
}

// Close ends the connection.
func (m *Meter) Close() { _ = m.client.Close() }

// Read reads the counters.
func (m *Meter) Read() (Reading, error) {
	text, err := m.client.Do(context.Background(), "INFO", "everything").Text()
	if err != nil {
		return Reading{}, err
	}
	r := Reading{At: time.Now(), commands: map[string]command{}, slowest: map[string]float64{}, size: float64(len(text))}
	for line := range strings.Lines(text) {
		key, value, found := strings.Cut(strings.TrimSpace(line), ":")
		if !found {
			continue
		}
		number, _ := strconv.ParseFloat(value, 64)
		name, isCommand := strings.CutPrefix(key, "cmdstat_")
		timed, isLatency := strings.CutPrefix(key, "latency_percentiles_usec_")
		switch {
		case key == "used_cpu_user", key == "used_cpu_sys":
			r.CPU += time.Duration(number * float64(time.Second))
		case key == "total_net_input_bytes":
			r.In = number
		case key == "total_net_output_bytes":
			r.Out = number
		case isCommand:
			r.commands[name] = command{calls: field(value, "calls"), usec: field(value, "usec")}
		case isLatency:
			r.slowest[timed] = field(value, "p100")
		}
	}
	return r, nil
}

// field reads name=number out of a list of them.
func field(list, name string) float64 {
	for pair := range strings.SplitSeq(list, ",") {
		if key, value, _ := strings.Cut(pair, "="); key == name {
			number, _ := strconv.ParseFloat(value, 64)
			return number
		}
	}
	return 0
}

// Cost is what happened between two readings.
type Cost struct {
	Elapsed time.Duration
	CPU     time.Duration // of the process, with what an idle server uses
	Calls   float64       // commands that clients sent
	Bytes   float64       // in both directions
	// PerCall is the mean run time of a call of the commands that clients
	// sent, and Slowest the longest of all calls since the start, both in us.
	PerCall, Slowest float64
}

// Since is the cost from an earlier reading to this one. Redis counts the
// commands that scripts call like those that clients send, so sent says which
// to count.
func (r Reading) Since(from Reading, sent []string) Cost {
	c := Cost{Elapsed: r.At.Sub(from.At), CPU: r.CPU - from.CPU}
	c.Bytes = r.In - from.In + r.Out - from.Out - from.size // but for the reading itself
	usec := 0.0
	for _, name := range sent {
		now, was := r.commands[name], from.commands[name]
		c.Calls += now.calls - was.calls
		usec += now.usec - was.usec
		c.Slowest = max(c.Slowest, r.slowest[name])
	}
	if c.Calls > 0 {
		c.PerCall = usec / c.Calls
	}
	return c
}

// IdleCPU is the share of a core that a server uses that nobody asks.
func IdleCPU(over time.Duration) (float64, error) {
	s, err := Start()
	if err != nil {
		return 0, err
	}
	defer s.Stop()
	m := s.NewMeter()
	defer m.Close()
	from, err := m.Read()
	if err != nil {
		return 0, err
	}
	time.Sleep(over)
	to, err := m.Read()
	c := to.Since(from, nil)
	return c.CPU.Seconds() / c.Elapsed.Seconds(), err
}
