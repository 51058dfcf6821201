package gatewayproxy_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/gatewayproxy"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
)

// seen counts the events of a kind so far.
func (s *stage) seen(kind gatewayproxy.EventKind) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

func TestStorm_IsSaidOnceWhateverTheNumberOfShards(t *testing.T) {
	s := newStage(t, settings{proxy: []gatewayproxy.Option{gatewayproxy.WithStorm(3, 0)}, limit: fullLimit(6)})
	var bots []*bot
	for range 6 {
		b := s.dial(s.url, "")
		b.want(10, "")
		b.send(resume("nothing", 1))
		b.want(9, "")
		bots = append(bots, b)
	}
	require.Eventually(t, func() bool { return s.seen(gatewayproxy.EventStorm) == 1 }, 20*time.Second, 20*time.Millisecond)
	require.Equal(t, 6, s.seen(gatewayproxy.EventRefused))
	app := gatewaytest.ApplicationID
	require.Equal(t, 6, s.proxy.Storm(app).Refused)
	for shard, b := range bots { // RESUMEs and IDENTIFYs pass as ever
		b.send(identify(shard, len(bots), ""))
		b.session()
	}
	s.judged(6)
	require.Equal(t, 1, s.seen(gatewayproxy.EventStorm))
}
