// Package proxy measures gatewayproxy beside what people would put in its place: a
// relay that only copies, and a proxy that decodes each message and encodes it again.
//
// The gateway (source), the proxy and the bots (sink) are a process each, which this
// program starts of itself and talks to over pipes. The gateway speaks TLS, as
// Discord's does; the bots speak plain TCP to the proxy, as to a sidecar.
package proxy

import (
	"fmt"
	"time"
)

// Kind is what stands between gateway and bots.
type Kind string

// The contestants.
const (
	Direct   Kind = "none"      // the bots speak TLS with the gateway themselves
	Relay    Kind = "relay"     // TLS ends there, and io.Copy does the rest
	Ours     Kind = "gateway"   // package gatewayproxy
	Reencode Kind = "re-encode" // each message is inflated, decoded, encoded and deflated
)

// Load is what a contestant has to carry.
type Load struct {
	Connections int
	Zlib        bool          // compress=zlib-stream
	Rate        int           // messages a second of each connection
	For         time.Duration // of each size
	Idle        time.Duration // before memory is looked at
}

// sizes are the plain bytes of the messages that are measured.
var sizes = [2]int{300, 1200}

// Carried is what one size of messages came to.
type Carried struct {
	CPU      float64 // us of the proxy's a message
	P50, P99 float64 // us from the gateway's write to the bot's read; 0 of a compressed stream
	Late     float64 // share of the planned time by which the gateway was late: it should be about 0
	Machine  float64 // share of all cores that the three processes had
}

// Run is what one run of a contestant came to.
type Run struct {
	Memory      float64 // KiB of RSS an idle connection, beyond the process without any
	Small, Long Carried // of sizes
}

// Carry runs a contestant once.
func Carry(kind Kind, l Load) (r Run, err error) {
	count := int(l.For.Seconds() * float64(l.Rate))
	st, err := open(kind, stageOf{connections: l.Connections, zlib: l.Zlib, counts: [2]int{count, count}})
	if err != nil {
		return r, err
	}
	defer st.close()
	before, err := st.proxy.usage()
	if err != nil {
		return r, err
	}
	if _, err := st.connect(l.Connections, false); err != nil {
		return r, err
	}
	time.Sleep(l.Idle)
	after, err := st.proxy.usage()
	if err != nil {
		return r, err
	}
	r.Memory = float64(after.RSS-before.RSS) / 1024 / float64(l.Connections)
	if err := st.profile(true); err != nil {
		return r, err
	}
	for i, to := range []*Carried{&r.Small, &r.Long} {
		if *to, err = st.carry(i, l.Rate, count); err != nil {
			return r, fmt.Errorf("%s, %d bytes: %w", kind, sizes[i], err)
		}
	}
	return r, st.profile(false)
}

// carry plays one size at a rate.
func (st *stage) carry(size, rate, count int) (c Carried, err error) {
	all := st.connections * count
	if err := st.sink.do("expect", expectation{Count: count, Latency: !st.zlib}, nil); err != nil {
		return c, err
	}
	from, err := st.usages()
	if err != nil {
		return c, err
	}
	var p played
	if err := st.source.do("play", play{Part: size, Rate: rate, Count: count}, &p); err != nil {
		return c, err
	}
	var a arrived
	if err := st.sink.do("await", nil, &a); err != nil {
		return c, err
	}
	to, err := st.usages()
	if err != nil {
		return c, err
	}
	planned := float64(count) / float64(rate)
	c.CPU = float64(to[1].CPU-from[1].CPU) / 1e3 / float64(all)
	c.P50, c.P99 = a.P50, a.P99
	c.Late = max(0, p.Took.Seconds()/planned-1)
	for i := range to {
		c.Machine += (to[i].CPU - from[i].CPU).Seconds() / p.Took.Seconds() / cores
	}
	return c, nil
}

// Whole is what a flood came to.
type Whole struct {
	Messages  int
	Same      bool // the bots have what the gateway sent, in its order
	PerSecond float64
}

// Flood sends messages of many lengths as fast as they go, and compares what came.
func Flood(kind Kind, connections, each int, zlib bool) (w Whole, err error) {
	st, err := open(kind, stageOf{connections: connections, zlib: zlib, counts: [2]int{each, 0}, mixed: true})
	if err != nil {
		return w, err
	}
	defer st.close()
	if _, err := st.connect(connections, true); err != nil {
		return w, err
	}
	if err := st.sink.do("expect", expectation{Count: each}, nil); err != nil {
		return w, err
	}
	begin := time.Now()
	var p played
	if err := st.source.do("play", play{Part: 0, Count: each}, &p); err != nil {
		return w, err
	}
	var a arrived
	if err := st.sink.do("await", nil, &a); err != nil {
		return w, err
	}
	w.Messages = connections * each
	w.PerSecond = float64(w.Messages) / time.Since(begin).Seconds()
	w.Same = a.Sum != "" && a.Sum == p.Sum
	return w, nil
}

// Start is what a bring-up came to.
type Start struct {
	Ratio      float64 // of the time until the last READY to the ideal
	Violations int
}

// BringUp connects shards through gatewayproxy at once.
func BringUp(shards, maxConcurrency int, window time.Duration) (s Start, err error) {
	st, err := open(Ours, stageOf{connections: shards, maxConcurrency: maxConcurrency, window: window})
	if err != nil {
		return s, err
	}
	defer st.close()
	took, err := st.connect(shards, false)
	if err != nil {
		return s, err
	}
	rounds := (shards+maxConcurrency-1)/maxConcurrency - 1
	s.Ratio = took.Seconds() / (time.Duration(rounds) * window).Seconds()
	err = st.source.do("violations", nil, &s.Violations)
	return s, err
}
