package gatewayproxy_test

import (
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
)

func TestProxy_IdentifiesAreSpaced(t *testing.T) {
	s := newStage(t, settings{})
	var all sync.WaitGroup
	for shard := range 4 {
		b := s.dial(s.url, "encoding=json")
		all.Go(func() { b.ready(shard, 4) })
	}
	all.Wait()
	s.judged(4)
}

func TestProxy_ResumesComeThroughIt(t *testing.T) {
	for _, query := range []string{"encoding=json", "encoding=json&compress=zlib-stream"} {
		t.Run(query, func(t *testing.T) {
			s := newStage(t, settings{discord: []gatewaytest.Option{gatewaytest.WithGuilds(3, 20_000)}})
			b := s.dial(s.url, query)
			id, at := b.ready(7, 8)
			require.Contains(t, at, s.url+"/resume/localhost:")
			require.Regexp(t, "/7$", at)
			for range 3 {
				b.want(0, "GUILD_CREATE")
			}
			require.NoError(t, b.conn.Close(websocket.StatusCode(4000), ""))
			// Not all libraries go where READY has told them.
			for i, address := range []string{at, s.url} {
				again := s.dial(address, query)
				again.want(10, "")
				again.send(resume(id, *b.seq))
				again.want(0, "RESUMED")
				s.judged(1)
				require.Equal(t, 1+i, s.discord.Resumes())
				shards := s.proxy.Shards("")
				require.Len(t, shards, 1)
				require.Equal(t, 7, shards[0].ID)
				require.EqualValues(t, "ready", shards[0].State)
				require.NoError(t, again.conn.Close(websocket.StatusCode(4000), ""))
				require.Eventually(t, func() bool { return s.proxy.Shards("")[0].State == "gone" }, time.Minute, time.Millisecond)
			}
		})
	}
}

func TestProxy_InvalidSessionIsHeldOnTheSameConnection(t *testing.T) {
	for _, query := range []string{"encoding=json", "encoding=json&compress=zlib-stream"} {
		t.Run(query, func(t *testing.T) {
			s := newStage(t, settings{})
			b := s.dial(s.url, query)
			b.want(10, "")
			b.send(resume("nothing", 1))
			b.want(9, "")
			b.send(identify(0, 1, ""))
			_, at := b.session()
			require.Contains(t, at, s.url+"/resume/")
			s.judged(1)
		})
	}
}
