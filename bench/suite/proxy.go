package suite

// The proxy beside a relay and a proxy that decodes: CPU, memory, latency, and
// whether what comes is what was sent.

import (
	"fmt"
	"io"
	"time"

	"github.com/gatewayqueue/gatewayqueue/bench/proxy"
	"github.com/gatewayqueue/gatewayqueue/bench/report"
)

// proxySize is how much the proxies have to carry.
type proxySize struct {
	load            proxy.Load
	flood, each     int // connections, and messages to each
	shards, buckets int // of the bring-up
	window          time.Duration
}

func fullProxy() proxySize {
	return proxySize{
		load:  proxy.Load{Connections: 1000, Rate: 40, For: 3 * time.Second, Idle: 5 * time.Second},
		flood: 100, each: 10_000, shards: 12, buckets: 4, window: 5 * time.Second,
	}
}

func quickProxy() proxySize {
	return proxySize{
		load:  proxy.Load{Connections: 50, Rate: 20, For: time.Second, Idle: 200 * time.Millisecond},
		flood: 10, each: 300, shards: 4, buckets: 2, window: scaled,
	}
}

// Bare is a suite for what needs no Redis.
func Bare(runs int, log io.Writer) *Suite { return &Suite{Runs: runs, Log: log, start: time.Now()} }

// proxyNames are the contestants in the order of the tables.
var proxyNames = []struct {
	kind proxy.Kind
	name string
	how  string
}{
	{proxy.Direct, "no proxy", "The bots speak TLS with the gateway: the latency that nobody adds."},
	{proxy.Relay, "TLS relay", "TLS to the gateway, plain TCP to the bot, `io.Copy` both ways: what ending TLS takes, and no more."},
	{proxy.Ours, "gatewayproxy", "This project's, with a `memqueue`; as `gatewayqueue proxy` runs it."},
	{proxy.Reencode, "re-encoding proxy", "`github.com/coder/websocket` both ways; each message is inflated, its outside decoded and encoded by `encoding/json` (`d` as it is), and deflated: " +
		"the least that a proxy does which reads every message. Those that keep a cache, as Gelbpunkt's gateway-proxy, read `d` as well."},
}

// carried are the runs of one contestant, with a compression or without.
type carried struct {
	name string
	runs []proxy.Run
}

// Proxies are the figures of all of them.
type Proxies struct {
	size        proxySize
	before      string // load average
	plain, zlib []carried
	whole       map[bool][]proxy.Whole // by compression
	start       []proxy.Start
}

// Proxy runs it.
func (s *Suite) Proxy(z Size) (*Proxies, error) {
	p := &Proxies{size: z.proxy, before: report.Load(), whole: map[bool][]proxy.Whole{}}
	for _, zlib := range []bool{false, true} {
		list := make([]carried, len(proxyNames))
		load := z.proxy.load
		load.Zlib = zlib
		for run := range s.Runs {
			for i, c := range proxyNames {
				r, err := proxy.Carry(c.kind, load)
				if err != nil {
					return nil, err
				}
				list[i].name = c.name
				list[i].runs = append(list[i].runs, r)
			}
			s.say("proxies, zlib-stream %v: %d of %d", zlib, run+1, s.Runs)
		}
		if zlib {
			p.zlib = list
		} else {
			p.plain = list
		}
		w, err := proxy.Flood(proxy.Ours, z.proxy.flood, z.proxy.each, zlib)
		if err != nil {
			return nil, err
		}
		p.whole[zlib] = append(p.whole[zlib], w)
		s.say("proxies, zlib-stream %v: %d messages", zlib, w.Messages)
	}
	for range s.Runs {
		st, err := proxy.BringUp(z.proxy.shards, z.proxy.buckets, z.proxy.window)
		if err != nil {
			return nil, err
		}
		p.start = append(p.start, st)
	}
	s.say("bring-up through the proxy")
	return p, nil
}

// spread is a figure over runs.
func spread[R any](runs []R, of func(R) float64) report.Spread {
	values := make([]float64, len(runs))
	for i, r := range runs {
		values[i] = of(r)
	}
	return report.SpreadOf(values)
}

func cpuSmall(r proxy.Run) float64 { return r.Small.CPU }
func cpuLong(r proxy.Run) float64  { return r.Long.CPU }
func p50(r proxy.Run) float64      { return r.Small.P50 }
func p99(r proxy.Run) float64      { return r.Small.P99 }
func p99Long(r proxy.Run) float64  { return r.Long.P99 }
func memory(r proxy.Run) float64   { return r.Memory }
func machine(r proxy.Run) float64  { return 100 * max(r.Small.Machine, r.Long.Machine) }

// over is a figure of a contestant run by run divided by, or less, the same of another.
func over(mine, theirs carried, of func(proxy.Run) float64, less bool) report.Spread {
	values := make([]float64, len(mine.runs))
	for i := range values {
		values[i] = of(mine.runs[i]) / of(theirs.runs[i])
		if less {
			values[i] = of(mine.runs[i]) - of(theirs.runs[i])
		}
	}
	return report.SpreadOf(values)
}

// Section is the report.
func (p *Proxies) Section() Section {
	l := p.size.load
	how := report.Table{Head: []string{"contestant", "how it is set up"}}
	for _, c := range proxyNames {
		how.Rows = append(how.Rows, []string{c.name, c.how})
	}
	first, second := p.table(p.plain, true), p.table(p.zlib, false)
	for i := range first.Rows {
		first.Rows[i] = append([]string{"none"}, first.Rows[i]...)
	}
	for i := range second.Rows {
		second.Rows[i] = append([]string{"zlib-stream"}, second.Rows[i]...)
	}
	all := report.Table{Head: append([]string{"compression"}, first.Head...), Rows: append(first.Rows, second.Rows...)}
	return Section{
		Title: "The proxy",
		Text: fmt.Sprintf("Written by `scripts/bench --proxy` on %s: %s; %s. Load average before and after: %s and %s. Runs of each: %d, one contestant after the other, run by run. "+
			"The gateway (TLS 1.3, one message a record), the proxy and the bots (plain TCP, as to a sidecar) are a process each, on loopback; CPU is that of the proxy's process alone, by getrusage, RSS by /proc.\n\n"+
			"%d connections identify, get READY and 60 KB of guilds, and are idle for %v: then memory is looked at. "+
			"Then each gets %d messages a second, evenly spread, for %v of 300 and for %v of 1,200 bytes (before compression). "+
			"With a hundred a second each these three processes would need more than the 2 cores there are, and all figures would be of the machine's scheduler; *machine* is the share of both that they have. "+
			"Latency is from before the gateway's write to behind the bot's read.",
			time.Now().Format(time.DateOnly), report.Machine(), report.ProxyVersions(), p.before, report.Load(), len(p.start), l.Connections, l.Idle, l.Rate, l.For, l.For),
		Tables: []report.Table{all, p.goals(), how},
		Notes: "What an idle connection of gatewayproxy holds: 18 KB in which crypto/tls has read a record of 16 KiB, and which it never gives back; two goroutines with stacks of 8 KB; " +
			"2 KB to read into; and some 8 KB of state, TLS's and its own. The rest is what Go's collector leaves of the handshakes' garbage: with GOGC=50 it is less. " +
			"Latency is the machine's as much as the proxy's: where other work ran, p99 is that of its scheduler also without a proxy.",
	}
}

func (p *Proxies) table(list []carried, timed bool) report.Table {
	t := report.Table{Head: []string{"contestant", "CPU us / message of 300 B", "of 1,200 B", "KiB / idle connection", "latency p50 us, 300 B", "p99 us, 300 B", "p99 us, 1,200 B", "machine, %"}}
	for _, c := range list {
		name := c.name
		if c.name == "gatewayproxy" {
			name = "**" + name + "**"
		}
		row := []string{name}
		for i, of := range []func(proxy.Run) float64{cpuSmall, cpuLong, memory, p50, p99, p99Long, machine} {
			cell := spread(c.runs, of).Cell()
			if c.name == proxyNames[0].name && i < 3 || !timed && i > 2 && i < 6 {
				cell = "-"
			}
			row = append(row, cell)
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// Passed says whether every goal was reached.
func (p *Proxies) Passed() bool {
	for _, c := range p.checks() {
		if !c.pass {
			return false
		}
	}
	return true
}

func (p *Proxies) goals() report.Table { return tableOf(p.checks()) }

func (p *Proxies) checks() []check {
	var list []check
	most := func(what string, s report.Spread, limit float64, unit string) {
		list = append(list, check{what: what, goal: "at most " + report.Number(limit) + unit, got: s.Cell() + unit, pass: s.Median <= limit})
	}
	const direct, relay, ours = 0, 1, 2
	for i, of := range [][]carried{p.plain, p.zlib} {
		with := []string{"", ", zlib-stream"}[i]
		most("CPU of a message of 300 B beside the relay's"+with, over(of[ours], of[relay], cpuSmall, false), 1.15, "")
		most("CPU of a message of 1,200 B beside the relay's"+with, over(of[ours], of[relay], cpuLong, false), 1.15, "")
		most("RSS of an idle connection"+with, spread(of[ours].runs, memory), 64, " KiB")
	}
	most("p99 of the latency, 300 B, above that without a proxy", over(p.plain[ours], p.plain[direct], p99, true), 1000, " us")
	most("p99 of the latency, 1,200 B, above that without a proxy", over(p.plain[ours], p.plain[direct], p99Long, true), 1000, " us")
	for _, zlib := range []bool{false, true} {
		w := p.whole[zlib][0]
		c := check{
			what: fmt.Sprintf("%d messages of 130 to 2,000 B in %d connections, as fast as they go", w.Messages, p.size.flood), goal: "not a byte is another, in the same order",
			got: fmt.Sprintf("so it is, %s a second", report.Number(w.PerSecond)), pass: w.Same,
		}
		if zlib {
			c.what += ", zlib-stream"
		}
		if !w.Same {
			c.got = "other bytes"
		}
		list = append(list, c)
	}
	most(fmt.Sprintf("bring-up / ideal of %d shards, max_concurrency %d, window %v", p.size.shards, p.size.buckets, p.size.window),
		spread(p.start, func(s proxy.Start) float64 { return s.Ratio }), 1.02, "")
	most("violations in it", spread(p.start, func(s proxy.Start) float64 { return float64(s.Violations) }), 0, "")
	return list
}

// proxies is the section in the whole report.
func (s *Suite) proxies(z Size) ([]Section, error) {
	p, err := s.Proxy(z)
	if err != nil {
		return nil, err
	}
	return []Section{p.Section()}, nil
}
