package proxy

// A gateway, a proxy and bots, ready to be measured.

import (
	"os"
	"time"
)

// stageOf says how a stage is set up.
type stageOf struct {
	connections    int
	zlib           bool
	mixed          bool   // the first part has messages of many lengths
	counts         [2]int // of messages in each part
	maxConcurrency int    // 0: as many as there are connections, and next to no window
	window         time.Duration
}

type stage struct {
	stageOf
	kind                Kind
	source, proxy, sink *process
	at                  string // where bots connect to
	authority           []byte
}

func open(kind Kind, of stageOf) (st *stage, err error) {
	if of.maxConcurrency == 0 {
		of.maxConcurrency, of.window = of.connections, time.Millisecond
	}
	st = &stage{stageOf: of, kind: kind}
	defer func() {
		if err != nil {
			st.close()
		}
	}()
	var gateway sourceHello
	st.source, err = start("source", sourceSettings{
		Zlib: of.zlib, Mixed: of.mixed, Counts: of.counts, MaxConcurrency: of.maxConcurrency, Window: of.window, Connections: of.connections,
	}, &gateway)
	if err != nil {
		return nil, err
	}
	st.at, st.authority = gateway.Address, gateway.Authority
	if kind == Direct {
		return st, nil
	}
	st.proxy, err = start("proxy", proxySettings{
		Kind: kind, Gateway: gateway.Address, Authority: gateway.Authority, MaxConcurrency: of.maxConcurrency, Window: of.window,
	}, &st.at)
	return st, err
}

// connect brings the bots up, and returns how long that took until the last had READY.
func (st *stage) connect(n int, hash bool) (took time.Duration, err error) {
	s := sinkSettings{Address: st.at, Connections: n, Zlib: st.zlib, Hash: hash}
	if st.kind == Direct {
		s.Authority = st.authority
	}
	st.sink, err = start("sink", s, &took)
	return took, err
}

// usages are those of all three.
func (st *stage) usages() (all [3]usage, err error) {
	for i, p := range []*process{st.source, st.proxy, st.sink} {
		if all[i], err = p.usage(); err != nil {
			return all, err
		}
	}
	return all, nil
}

// profile begins or ends a profile of the proxy, if one is wanted.
func (st *stage) profile(on bool) error {
	if st.proxy == nil || os.Getenv("GATEWAYQUEUE_BENCH_PROFILES") == "" {
		return nil
	}
	return st.proxy.do("profile", on, nil)
}

func (st *stage) close() {
	for _, p := range []*process{st.sink, st.proxy, st.source} {
		p.stop()
	}
}
