// The life of connections and sessions, in virtual time and with Discord's own
// figures: limits, deadlines, replays, outages, and what the ledger says of them.

package gatewaytest_test

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
)

func (c *client) identifyWith(intents any) {
	c.t.Helper()
	c.send(2, map[string]any{"token": gatewaytest.DefaultToken, "shard": []int{0, 1}, "intents": intents})
}

func TestServer_EveryCloseCodeOfTheDocumentation(t *testing.T) {
	const messageContent = 1 << 15
	for _, test := range []struct {
		code int
		name string
		do   func(v *virtual, c *reader)
		// resumes: the session can be resumed afterwards
		resumes bool
	}{
		{4000, "the session is resumed elsewhere", func(v *virtual, c *reader) {
			c.identify(0, 1)
			id := c.ready().SessionID
			v.open().resume(id, 1)
		}, true},
		{4001, "unknown opcode", func(_ *virtual, c *reader) { c.identify(0, 1); c.ready(); c.send(5, nil) }, true},
		{4002, "4097 bytes", func(_ *virtual, c *reader) {
			c.identify(0, 1)
			c.ready()
			c.sendText(`{"op":3,"d":"` + strings.Repeat("x", 4097-len(`{"op":3,"d":""}`)) + `"}`)
		}, true},
		{4002, "no JSON", func(_ *virtual, c *reader) { c.identify(0, 1); c.ready(); c.sendText("{") }, true},
		{4003, "presence before IDENTIFY", func(_ *virtual, c *reader) { c.send(3, nil) }, false},
		{4003, "presence before READY", func(v *virtual, c *reader) {
			v.DelayReady(gatewaytest.Fixed(time.Second))
			c.identify(0, 1)
			c.send(3, nil)
		}, false},
		{4003, "presence after op 9", func(v *virtual, c *reader) {
			c.identify(0, 1)
			c.ready()
			v.Invalidate(true)
			c.next()
			c.send(3, nil)
		}, true},
		{4004, "wrong token", func(_ *virtual, c *reader) { c.send(2, map[string]any{"token": "wrong"}) }, false},
		{4005, "identified twice", func(_ *virtual, c *reader) { c.identify(0, 1); c.ready(); c.identify(0, 1) }, true},
		{4007, "seq from the future", func(v *virtual, c *reader) {
			_, session := v.up(0, 1)
			c.resume(session.SessionID, 2)
		}, false},
		{4008, "121 payloads", func(_ *virtual, c *reader) {
			c.identify(0, 1)
			c.ready()
			for range 120 {
				c.send(3, nil)
			}
		}, true},
		{4009, "no heartbeat for two intervals", func(_ *virtual, c *reader) { c.identify(0, 1); c.ready() }, false},
		{4010, "shard is the count", func(_ *virtual, c *reader) { c.identify(3, 3) }, false},
		{4011, "too few shards", func(_ *virtual, c *reader) { c.send(2, map[string]any{"token": gatewaytest.DefaultToken}) }, false},
		{4013, "an intent that does not exist", func(_ *virtual, c *reader) { c.identifyWith(1 << 30) }, false},
		{4013, "negative intents", func(_ *virtual, c *reader) { c.identifyWith(-1) }, false},
		{4014, "message content", func(_ *virtual, c *reader) { c.identifyWith(messageContent | 1) }, false},
	} {
		t.Run(strconv.Itoa(test.code)+" "+test.name, func(t *testing.T) {
			opts := []gatewaytest.Option{gatewaytest.WithDisallowedIntents(messageContent), gatewaytest.WithWindow(0)}
			if test.code == 4011 {
				opts = append(opts, gatewaytest.WithLeastShards(2))
			}
			inVirtualTime(t, func(v *virtual) {
				c := v.open()
				test.do(v, c)
				assert.Equal(t, test.code, c.closed())
				assert.Equal(t, test.resumes, len(v.Sessions()) == 1)
				if test.code >= 4010 {
					assert.Zero(t, v.Judge().Verdict().Identifies, "nothing of this counts")
				}
			}, opts...)
		})
	}
	t.Run("4012 version 5", func(t *testing.T) {
		s := newServer(t)
		assert.Equal(t, 4012, dialOnly(t, s.GatewayURL()+"/?v=5").closeCode())
	})
}

func (c *client) sendText(text string) {
	c.t.Helper()
	require.NoError(c.t, c.ws.Write(c.t.Context(), websocket.MessageText, []byte(text)))
}

func TestServer_CloseShardsClosesWithAnyCode(t *testing.T) {
	for code, left := range map[int]int{
		1000: 1, 1001: 1, 4000: 1, 4001: 1, 4002: 1, 4005: 1, 4008: 1,
		4003: 0, 4004: 0, 4007: 0, 4009: 0, 4010: 0, 4011: 0, 4012: 0, 4013: 0, 4014: 0,
	} {
		inVirtualTime(t, func(v *virtual) {
			c, _ := v.up(0, 2)
			other, _ := v.up(1, 2)
			told, err := v.CloseShards(code, 0)
			require.NoError(t, err)
			assert.Equal(t, 1, told)
			assert.Equal(t, code, c.closed())
			assert.Len(t, v.Sessions(), left+1, code)
			assert.True(t, other.still())
			assert.Equal(t, map[int]int{code: 1}, v.Shards()[1].Closed)
		})
	}
	_, err := newServer(t).CloseShards(4006)
	assert.ErrorIs(t, err, gatewayqueue.ErrInvalid)
}

func TestServer_PayloadsAreCountedOverAnyMinute(t *testing.T) {
	inVirtualTime(t, func(v *virtual) {
		c, _ := v.up(0, 1) // one payload
		time.Sleep(30 * time.Second)
		for range 119 {
			c.send(1, nil)
		}
		time.Sleep(30 * time.Second) // IDENTIFY is a minute old
		c.send(1, nil)
		assert.True(t, c.still(), "120 within a minute")
		c.send(1, nil)
		assert.Equal(t, 4008, c.closed())
		c, _ = v.up(1, 2)
		assert.True(t, c.still(), "the limit is a connection's")
	})
	inVirtualTime(t, func(v *virtual) {
		c, _ := v.up(0, 1)
		for range 200 {
			time.Sleep(time.Millisecond)
			c.send(1, nil)
		}
		assert.True(t, c.still(), "the server asked for these")
	}, gatewaytest.WithHeartbeat(time.Millisecond))
	inVirtualTime(t, func(v *virtual) {
		c, _ := v.up(0, 1)
		for range 500 {
			c.send(3, nil)
		}
		assert.True(t, c.still(), "no limit")
	}, gatewaytest.WithPayloads(0, 0))
}

func TestServer_UnidentifiedConnection(t *testing.T) {
	const interval = gatewaytest.DefaultHeartbeat
	beatFor := func(c *reader, n int) {
		for range n {
			time.Sleep(interval)
			c.send(1, nil)
		}
	}
	t.Run("lives for ever by default", func(t *testing.T) {
		inVirtualTime(t, func(v *virtual) {
			c := v.open()
			beatFor(c, 100) // 69 minutes
			require.True(t, c.still())
			c.identify(0, 1)
			c.ready()
		})
	})
	t.Run("is closed at its deadline", func(t *testing.T) {
		inVirtualTime(t, func(v *virtual) {
			c := v.open()
			start := time.Now()
			beatFor(c, 1)
			assert.Equal(t, 4009, c.closed())
			assert.Equal(t, time.Minute, time.Since(start))
		}, gatewaytest.WithIdentifyWithin(time.Minute, false))
	})
	t.Run("heartbeats extend the deadline", func(t *testing.T) {
		inVirtualTime(t, func(v *virtual) {
			c := v.open()
			beatFor(c, 10)
			last := time.Now()
			assert.Equal(t, 4009, c.closed())
			assert.Equal(t, time.Minute, time.Since(last))
		}, gatewaytest.WithIdentifyWithin(time.Minute, true))
	})
	t.Run("a session has no deadline, until op 9", func(t *testing.T) {
		inVirtualTime(t, func(v *virtual) {
			c, _ := v.up(0, 1)
			beatFor(c, 10)
			require.True(t, c.still())
			v.Invalidate(false)
			last := time.Now()
			assert.Equal(t, 4009, c.closed())
			assert.Equal(t, time.Minute, time.Since(last))
		}, gatewaytest.WithIdentifyWithin(time.Minute, false))
	})
}

func TestServer_HeartbeatsAreCountedPerPhase(t *testing.T) {
	const interval = gatewaytest.DefaultHeartbeat
	inVirtualTime(t, func(v *virtual) {
		c := v.open()
		c.send(1, nil)
		time.Sleep(interval)
		c.send(1, nil)
		time.Sleep(interval)
		c.send(1, nil)
		c.identify(3, 4)
		time.Sleep(time.Second)
		c.send(1, nil)
		time.Sleep(time.Second)
		for range 4 {
			c.send(1, nil)
		}
		synctest.Wait()
		shards := v.Shards()
		require.Len(t, shards, 2)
		assert.Equal(t, -1, shards[0].Shard)
		assert.Zero(t, shards[0].Heartbeats, "all were shard 3's")
		assert.Zero(t, shards[0].Connections)
		assert.Equal(t, gatewaytest.Heartbeats{Early: 1, Waiting: 2, Starting: 1, Ready: 4}, shards[1].Heartbeats)
		assert.Equal(t, 1, v.RequestHeartbeats(3))
	}, gatewaytest.WithReadyDelay(gatewaytest.Fixed(2*time.Second)))
}

func TestServer_ShardsReportsWhatEachShardDid(t *testing.T) {
	inVirtualTime(t, func(v *virtual) {
		c, session := v.up(0, 1)
		require.NoError(t, c.ws.CloseNow()) // severed
		c.closed()
		c = v.open()
		c.resume(session.SessionID, 1)
		assert.EqualValues(t, 2, c.event("RESUMED"))
		v.Reconnect()
		assert.Equal(t, 7, c.next().Op)
		require.NoError(t, c.ws.Close(4000, ""))
		c = v.open()
		c.resume(session.SessionID, 1)
		assert.EqualValues(t, 3, c.event("RESUMED"), "a RESUMED is not replayed, its number is gone")
		v.Invalidate(false)
		synctest.Wait()
		c.resume(session.SessionID, 1)
		c.identify(0, 1) // inside the window
		synctest.Wait()
		report := v.Shards()[1]
		assert.Positive(t, report.Bytes)
		report.Bytes = 0
		assert.Equal(t, gatewaytest.ShardReport{
			Shard: 0, Connections: 3, Identifies: 2, Readies: 1, Resumes: 2, RefusedResumes: 1, InvalidSessions: 3,
			Reconnects: 1, Events: 3, Closed: map[int]int{}, Left: map[int]int{1006: 1, 4000: 1},
		}, report)
	})
}

func TestServer_ResumeReplaysWhatWasMissed(t *testing.T) {
	inVirtualTime(t, func(v *virtual) {
		c, session := v.up(0, 2)
		v.up(1, 2)
		given, err := v.Dispatch("TYPING_START", map[string]int{"n": 1}, 0)
		require.NoError(t, err)
		assert.Equal(t, 1, given)
		assert.EqualValues(t, 2, c.event("TYPING_START"))
		v.Drop(true)
		assert.Equal(t, -1, c.closed())
		for n := range 3 {
			_, err := v.Dispatch("TYPING_START", map[string]int{"n": n + 2}, 0)
			require.NoError(t, err)
		}
		c = v.open()
		c.resume(session.SessionID, 1)
		for n := range 4 {
			p := c.next()
			assert.JSONEq(t, `{"n":`+strconv.Itoa(n+1)+`}`, string(p.D))
			assert.EqualValues(t, n+2, *p.S)
		}
		assert.EqualValues(t, 6, c.event("RESUMED"))
		synctest.Wait()
		assert.Equal(t, 1, v.Shards()[1].Replayed, "the others were sent for the first time")
		_, err = v.Dispatch("TYPING_START", 7)
		require.NoError(t, err)
		assert.EqualValues(t, 7, c.event("TYPING_START"))
		_, err = v.Dispatch("TYPING_START", nil)
		assert.ErrorIs(t, err, gatewayqueue.ErrInvalid)
	})
}

func TestServer_ResumeFromBeforeTheReplayIsRefused(t *testing.T) {
	for seq, accepted := range map[int]bool{6: true, 5: true, 4: false} {
		inVirtualTime(t, func(v *virtual) {
			c, session := v.up(0, 1)
			v.Drop(true)
			c.closed()
			for range 14 { // events 2 to 15
				_, err := v.Dispatch("TYPING_START", 1)
				require.NoError(t, err)
			}
			c = v.open()
			c.resume(session.SessionID, seq)
			if accepted {
				assert.EqualValues(t, seq+1, c.event("TYPING_START"))
				return
			}
			assert.Equal(t, 9, c.next().Op)
			assert.Empty(t, v.Sessions())
		}, gatewaytest.WithReplay(10))
	}
}

func TestServer_SessionThatIsLeftExpires(t *testing.T) {
	for wait, left := range map[time.Duration]int{2*time.Minute - 1: 1, 2 * time.Minute: 0} {
		inVirtualTime(t, func(v *virtual) {
			c, _ := v.up(0, 1)
			v.Drop(true)
			c.closed()
			time.Sleep(wait)
			assert.Len(t, v.Sessions(), left)
		}, gatewaytest.WithSessionLife(2*time.Minute))
	}
}

func TestServer_GuildsFollowReadyInTheirSize(t *testing.T) {
	const size = 300_000
	inVirtualTime(t, func(v *virtual) {
		c := v.open()
		c.identify(5, 7)
		var data struct {
			Guilds []struct {
				ID          string
				Unavailable bool
			}
		}
		require.NoError(t, json.Unmarshal(c.next().D, &data))
		require.Len(t, data.Guilds, 3)
		for n, announced := range data.Guilds {
			p := c.next()
			assert.Equal(t, "GUILD_CREATE", *p.T)
			assert.EqualValues(t, n+2, *p.S)
			assert.Len(t, p.D, size)
			var guild struct {
				ID      string
				Members []any
			}
			require.NoError(t, json.Unmarshal(p.D, &guild))
			assert.Equal(t, announced.ID, guild.ID)
			assert.True(t, announced.Unavailable)
			assert.Greater(t, len(guild.Members), 500)
			id, err := strconv.ParseUint(guild.ID, 10, 64)
			require.NoError(t, err)
			assert.EqualValues(t, 5, (id>>22)%7, "the guild is this shard's")
		}
		p := c.next()
		assert.Equal(t, "MESSAGE_CREATE", *p.T)
		assert.Contains(t, string(p.D), `"content":"`+strings.Repeat("x", 50)+`"`)
		assert.Contains(t, string(p.D), data.Guilds[0].ID)
	}, gatewaytest.WithGuilds(3, size), gatewaytest.WithMessages(time.Second, 50))
}

// Six megabytes through a connection that reads: heartbeats are answered between.
func TestServer_LargeGuildsDoNotHoldHeartbeatsUp(t *testing.T) {
	inVirtualTime(t, func(v *virtual) {
		c := v.open()
		c.identify(0, 1)
		c.ready()
		c.send(1, nil)
		guilds := 0
		for c.next().Op != 11 {
			guilds++
		}
		assert.Less(t, guilds, 10, "the ACK does not come after them all")
	}, gatewaytest.WithGuilds(10, 6<<20))
}

func TestServer_OutageThatRefusesResumes(t *testing.T) {
	inVirtualTime(t, func(v *virtual) {
		_, first := v.up(0, 2)
		_, second := v.up(1, 2)
		v.RefuseResumes(time.Minute)
		c := v.resumeAfter(59*time.Second, first.SessionID)
		assert.Equal(t, 9, c.next().Op)
		c = v.resumeAfter(time.Second, second.SessionID)
		c.event("RESUMED")
	})
}

// resumeAfter resumes a session on a new connection, a while from now.
func (v *virtual) resumeAfter(wait time.Duration, session string) *reader {
	v.t.Helper()
	time.Sleep(wait)
	c := v.open()
	c.resume(session, 1)
	return c
}

func TestServer_OutageWithoutReady(t *testing.T) {
	inVirtualTime(t, func(v *virtual) {
		c := v.open()
		c.identify(0, 2)
		for range 100 {
			time.Sleep(gatewaytest.DefaultHeartbeat)
			c.send(1, nil)
			assert.Equal(t, 11, c.next().Op, "no READY")
		}
		v.DelayReady(gatewaytest.Fixed(20 * time.Second))
		c = v.open()
		start := time.Now()
		c.identify(1, 2)
		c.ready()
		assert.Equal(t, 20*time.Second, time.Since(start))
		assert.Equal(t, []int{1}, v.ReadyShards())
	}, gatewaytest.WithReadyDelay(gatewaytest.Never))
}

func (v *virtual) get(path string) *http.Response {
	v.t.Helper()
	req, err := http.NewRequestWithContext(v.t.Context(), http.MethodGet, v.URL()+path, nil)
	require.NoError(v.t, err)
	req.Header.Set("Authorization", "Bot "+v.Token())
	res, err := v.http.Do(req)
	require.NoError(v.t, err)
	v.t.Cleanup(func() { _ = res.Body.Close() })
	return res
}

func TestServer_OutageOfGatewayBot(t *testing.T) {
	inVirtualTime(t, func(v *virtual) {
		v.LimitGatewayBot(time.Minute)
		time.Sleep(20*time.Second + 500*time.Millisecond)
		res := v.get("/api/v10/gateway/bot")
		assert.Equal(t, http.StatusTooManyRequests, res.StatusCode)
		assert.Equal(t, "40", res.Header.Get("Retry-After"))
		assert.Equal(t, "user", res.Header.Get("X-RateLimit-Scope"))
		assert.Equal(t, "0", res.Header.Get("X-RateLimit-Remaining"))
		assert.Equal(t, "39.500", res.Header.Get("X-RateLimit-Reset-After"))
		var body struct {
			RetryAfter float64 `json:"retry_after"`
			Global     bool
		}
		require.NoError(t, json.NewDecoder(res.Body).Decode(&body))
		assert.InDelta(t, 39.5, body.RetryAfter, 0)
		assert.Equal(t, http.StatusOK, v.get("/api/v10/users/@me").StatusCode)
		time.Sleep(39*time.Second + 500*time.Millisecond)
		assert.Equal(t, http.StatusOK, v.get("/gateway/bot").StatusCode)
	})
}

func TestServer_RESTAnswersWhatLibrariesAskAtLogin(t *testing.T) {
	inVirtualTime(t, func(v *virtual) {
		for _, prefix := range []string{"/api", "/api/v9", "/api/v10"} {
			for route, keys := range map[string][]string{
				"/users/@me":               {"id", "username", "discriminator", "avatar", "bot", "global_name", "flags"},
				"/oauth2/applications/@me": {"id", "name", "owner", "team", "verify_key", "icon", "bot_public", "flags"},
				"/applications/@me":        {"id"},
				"/gateway/bot":             {"url", "shards", "session_start_limit"},
				"/gateway":                 {"url"},
			} {
				res := v.get(prefix + route)
				assert.Equal(t, http.StatusOK, res.StatusCode, route)
				var body map[string]any
				require.NoError(t, json.NewDecoder(res.Body).Decode(&body))
				for _, key := range keys {
					assert.Contains(t, body, key, route)
				}
				if route != "/gateway" {
					assert.Equal(t, "50", res.Header.Get("X-RateLimit-Limit"), route)
					assert.Len(t, res.Header.Get("X-RateLimit-Bucket"), 32)
				}
			}
		}
	})
}

func TestServer_ResumeURLIsOnTheHostOfTheSetting(t *testing.T) {
	inVirtualTime(t, func(v *virtual) {
		_, session := v.up(0, 1)
		assert.Equal(t, "ws://gateway-us-east1-b.test:80", session.ResumeGatewayURL)
		assert.Equal(t, "ws://gateway.test:80", v.GatewayURL())
	}, gatewaytest.WithResumeHost("gateway-us-east1-b.test"))
}

// Hosts that go one by one take their sessions along, and no others.
func TestServer_HostsGoOneByOne(t *testing.T) {
	s := newServer(t, gatewaytest.WithHosts(3), gatewaytest.WithWindow(0))
	clients, sessions := make([]*client, 6), make([]ready, 6)
	for shard := range clients {
		clients[shard], sessions[shard] = bringUp(t, s, shard, 6)
	}
	assert.Len(t, s.Hosts(), 3)
	assert.NotContains(t, s.Hosts(), s.GatewayURL())
	for host, url := range s.Hosts() {
		lost, err := s.StopHost(host, true)
		require.NoError(t, err)
		assert.Equal(t, 2, lost)
		for shard, session := range sessions {
			if session.ResumeGatewayURL != url {
				continue
			}
			assert.Equal(t, -1, clients[shard].closeCode())
			_, _, err := websocket.Dial(soon(t), url, nil)
			require.Error(t, err, "the host is down")
			clients[shard] = dial(t, s.GatewayURL())
			clients[shard].resume(session.SessionID, 1)
			assert.Equal(t, "RESUMED", *clients[shard].read().T)
		}
		require.NoError(t, s.WaitReady(soon(t), 6))
		require.NoError(t, s.StartHost(host))
		dial(t, url)
	}
	assert.Equal(t, 6, s.Judge().Verdict().Identifies)
	lost, err := s.StopHost(0, false)
	require.NoError(t, err)
	assert.Equal(t, 2, lost)
	assert.Len(t, s.Sessions(), 4)
	_, err = s.StopHost(3, false)
	assert.ErrorIs(t, err, gatewayqueue.ErrInvalid)
	assert.ErrorIs(t, s.StartHost(-1), gatewayqueue.ErrInvalid)
}

func TestNewServer_BadSettingsPanicWithFieldAndRange(t *testing.T) {
	for field, opt := range map[string]gatewaytest.Option{
		"heartbeat interval":  gatewaytest.WithHeartbeat(0),
		"payloads":            gatewaytest.WithPayloads(-1, time.Minute),
		"period of payloads":  gatewaytest.WithPayloads(1, 0),
		"time until IDENTIFY": gatewaytest.WithIdentifyWithin(-1, false),
		"events to replay":    gatewaytest.WithReplay(-1),
		"life of a session":   gatewaytest.WithSessionLife(-1),
		"guilds of a shard":   gatewaytest.WithGuilds(2501, 0),
		"bytes of a guild":    gatewaytest.WithGuilds(1, 1<<30),
		"resume host":         gatewaytest.WithResumeHost(""),
		"gateway hosts":       gatewaytest.WithHosts(101),
	} {
		func() {
			defer func() {
				err, _ := recover().(error)
				var invalid *gatewayqueue.InvalidError
				if assert.ErrorAs(t, err, &invalid, field) {
					assert.Equal(t, field, invalid.Field)
				}
			}()
			gatewaytest.NewServer(opt).Close()
		}()
	}
}
