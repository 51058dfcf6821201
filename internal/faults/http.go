package faults

// Pods that are servers and clients of the queue over HTTP. The first two of a run
// serve; the others reach either through a balancer of connections, over a link of
// their own.

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gatewayqueue/gatewayqueue/httpqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

const httpServers = 2

var httpFaults = map[string]fault{
	"polls cut":      {do: cutPolls, servers: "http"},
	"servers killed": {do: killServers, servers: "http"},
	"servers rolled": {do: rollServers, servers: "http"},
	"servers paused": {do: pauseServers, servers: "http"},
}

// openClient makes the queue of a pod that is a client.
func (p *pod) openClient() (func() error, error) {
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	client, err := httpqueue.NewClient("http://"+p.config.Address,
		httpqueue.WithHTTPClient(&http.Client{Transport: transport}), httpqueue.WithMaxWait(time.Second), httpqueue.WithToken("t"))
	if err != nil {
		return nil, err
	}
	p.queue, p.update = client, client.Update
	p.look = func(ctx context.Context) error { _, err := client.Status(ctx); return err }
	return client.Close, nil
}

// serve serves the queue of a pod that is a server, and says where.
func (p *pod) serve(queue *redisqueue.RedisQueue) (func() error, error) {
	handler, err := httpqueue.NewHandler(queue, httpqueue.WithBearerToken("t"), httpqueue.WithoutLegacy())
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	server := httpqueue.NewServer(handler)
	go func() { _ = server.Serve(listener) }() // until it is closed
	p.say("serves", 0, 0, listener.Addr().String())
	return sync.OnceValue(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		_ = handler.Shutdown(ctx) // what is cut off is asked again elsewhere
		_ = server.Shutdown(ctx)
		_ = server.Close()
		return errors.Join(handler.Close(), queue.Close())
	}), nil
}

// balancer picks a server for each connection, those that are down too.
type balancer struct {
	mu    sync.Mutex
	addrs [httpServers]string
	next  int
}

func (b *balancer) set(i int, addr string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.addrs[i] = addr
}

func (b *balancer) pick() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.next++
	return b.addrs[b.next%httpServers]
}

// awaitServers returns when all serve.
func (r *run) awaitServers() {
	if r.await(10*time.Second, func() (time.Duration, bool) {
		r.balancer.mu.Lock()
		defer r.balancer.mu.Unlock()
		for _, addr := range r.balancer.addrs {
			if addr == "" {
				return 0, false
			}
		}
		return 1, true
	}) == 0 {
		r.t.Error("the servers over HTTP do not start")
	}
}

// cutPolls ends connections of clients at any age of what they wait for.
func cutPolls(r *run, random *rand.Rand, length time.Duration) {
	for end := time.Now().Add(length); time.Now().Before(end); time.Sleep(time.Duration(random.IntN(150)) * time.Millisecond) {
		r.fleet.berths[httpServers+random.IntN(len(r.fleet.berths)-httpServers)].link.lossy.drop()
	}
}

func killServers(r *run, random *rand.Rand, length time.Duration) {
	for end := time.Now().Add(length); time.Now().Before(end); {
		r.kill(r.fleet.berths[random.IntN(httpServers)], upTo(random, length/4))
	}
}

func rollServers(r *run, _ *rand.Rand, length time.Duration) {
	for _, b := range r.fleet.berths[:httpServers] {
		b.busy.Lock()
		if b.stop(5 * time.Second) {
			r.died()
		}
		r.fleet.launch(b)
		b.busy.Unlock()
		time.Sleep(length / httpServers)
	}
}

func pauseServers(r *run, random *rand.Rand, length time.Duration) {
	r.pause(r.fleet.berths[random.IntN(httpServers)], length+r.plan.PodLease)
}
