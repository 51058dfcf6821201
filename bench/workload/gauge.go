package workload

// What a run costs the server and this process.

import (
	"time"

	"github.com/gatewayqueue/gatewayqueue/bench/server"
)

// gauge reads the costs at some points of a run: at its start, at its end, and
// in a run that does not drain once in between, when all have arrived.
type gauge struct {
	meter  *server.Meter // nil without a server
	sent   []string
	points []point
}

type point struct {
	server.Reading
	client time.Duration // CPU of this process, which holds all pods and the workload itself
}

func (g *gauge) mark() error {
	p := point{client: ProcessCPU()}
	p.At = time.Now()
	var err error
	if g.meter != nil {
		p.Reading, err = g.meter.Read()
	}
	g.points = append(g.points, p)
	return err
}

// whole is the server's cost from start to end.
func (g *gauge) whole() server.Cost {
	return g.points[len(g.points)-1].Since(g.points[0].Reading, g.sent)
}

// share is what a grant costs.
type share struct {
	calls, bytes        float64
	redisCPU, clientCPU float64 // us
}

func (g *gauge) between(from, to point, idle float64) (share, time.Duration) {
	c := to.Since(from.Reading, g.sent)
	return share{
		calls: c.Calls, bytes: c.Bytes,
		redisCPU:  micros(c.CPU) - idle*micros(c.Elapsed),
		clientCPU: micros(to.client - from.client),
	}, c.Elapsed
}

// perGrant divides the cost by the grants. In a run that does not drain there
// are more arrivals than grants: the cost of a grant is then that of one after
// all have arrived (late of them), and of an arrival what the time before took
// more than its share.
func (g *gauge) perGrant(grants, late, arrivals int, idle float64) share {
	if len(g.points) == 2 {
		all, _ := g.between(g.points[0], g.points[1], idle)
		return all.over(float64(grants))
	}
	early, before := g.between(g.points[0], g.points[1], idle)
	steady, after := g.between(g.points[1], g.points[2], idle)
	arrival := early.less(steady, before.Seconds()/max(after.Seconds(), 1e-9)).over(float64(arrivals))
	return steady.over(float64(late)).less(arrival, -1)
}

func (s share) over(n float64) share {
	if n == 0 {
		return share{}
	}
	return share{s.calls / n, s.bytes / n, s.redisCPU / n, s.clientCPU / n}
}

// less takes off part of another, down to nothing.
func (s share) less(t share, part float64) share {
	return share{
		max(0, s.calls-part*t.calls), max(0, s.bytes-part*t.bytes),
		max(0, s.redisCPU-part*t.redisCPU), max(0, s.clientCPU-part*t.clientCPU),
	}
}

func micros(d time.Duration) float64 { return d.Seconds() * 1e6 }
