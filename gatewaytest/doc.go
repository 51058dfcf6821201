// Package gatewaytest is Discord's side of IDENTIFY, for tests: a judge that
// finds every identify which Discord would punish, and a fake gateway that
// punishes it.
//
// # The judge
//
// A [Judge] is told of each identify at the moment it arrives, and counts with
// no tolerance:
//
//	judge := gatewaytest.NewJudge(limit, gatewayqueue.IdentifyDelay)
//	...
//	judge.Identify(shardID) // where a bot would send IDENTIFY
//	...
//	if v := judge.Verdict(); !v.OK() {
//		t.Error(v)
//	}
//
// It reads nothing but the monotonic clock and starts no goroutine, so it also
// judges in the virtual time of testing/synctest. Pods that are processes of
// their own [Report] to a judge that is served over HTTP.
//
// # The gateway
//
// A [Server] is a fake Discord on a loopback port, for real bots. Point a
// library's REST base at [Server.URL], and use its [Server.Token]:
//
//	srv := gatewaytest.NewServer(
//		gatewaytest.WithLimit(limit),
//		gatewaytest.WithWindow(500*time.Millisecond),
//		gatewaytest.WithLatency(gatewaytest.Between(5*time.Millisecond, 150*time.Millisecond, 1)),
//	)
//	defer srv.Close()
//	...
//	err := srv.WaitReady(ctx, shards) // all are READY at once
//	srv.Reconnect()                   // op 7: all must resume
//	srv.Restart()                     // all must identify again
//	v := srv.Judge().Verdict()
//
// Its delays, limits and failures are options; each Delay and When can be a
// function of the test's own. With a listener in memory ([WithListener]) a Server
// works in the virtual time of testing/synctest; otherwise time is real.
//
// Outages are staged by calls: [Server.Restart] ends all sessions,
// [Server.RefuseResumes] answers every RESUME with op 9 for a while,
// [Server.LimitGatewayBot] GET /gateway/bot with 429, [Server.DelayReady] makes
// READY slow, or with [Never] keeps it back, and [Server.StopHost] takes one of
// the gateway hosts of [WithHosts] down.
//
// [Server.Shards] says what the server saw of each shard: connections,
// identifies, resumes, close codes of either side, and heartbeats by what the
// connection was doing.
//
// # As Discord does
//
// What the server does, and whether Discord does the same:
//
//	IDENTIFY inside its bucket's window  stricter     op 9 (d false) with no tolerance at all; it starts a window and spends a unit
//	IDENTIFY past the daily limit        yes          every session ends, every connection is closed with 4004, and the token is void
//	close code 4000                      yes          the session was resumed on another connection, or 5 s have passed since op 7
//	4001                                 yes          an opcode that clients do not send
//	4002                                 yes          more than 4096 bytes, no payload at all, or d of another type than the opcode's
//	1009                                 not known    more than 1 MiB in a message
//	4003                                 yes          before READY, and after op 9: any opcode but 1, 2 and 6
//	4004                                 yes          a token that is wrong or void
//	4005                                 yes          IDENTIFY or RESUME where the connection has a session
//	4007                                 yes          RESUME with a seq that was never sent; the session ends
//	4008                                 stricter     more than 120 payloads of a connection in any 60 s, heartbeats included unless the server asks
//	                                                  for more than one in 5 s ([WithPayloads]); how Discord lays its minutes is not documented
//	4009                                 mostly       no heartbeat for two intervals, also before IDENTIFY; the session ends, as Discord's table of
//	                                                  codes has it ("start a new one"), though another page of its has such clients resume
//	4010                                 yes          a shard that is not [id, count] with 0 <= id < count
//	4011                                 mostly       fewer shards than [WithLeastShards]; guilds are not counted
//	4012                                 yes          a version below 6 or above 10
//	4013                                 mostly       an intent that Discord does not list; none at all is taken for 0, which Discord refuses
//	4014                                 yes          an intent of [WithDisallowedIntents]
//	no IDENTIFY after HELLO              not known    nothing, or 4009 after the time of [WithIdentifyWithin], which heartbeats extend or not
//	heartbeats before IDENTIFY           yes          answered
//	heartbeats before READY              not known    answered, and counted apart; Discord asks for none there
//	client closes with 1000 or 1001      yes          its session ends
//	client closes with another or none   mostly       its session can be resumed: for ever, or as long as [WithSessionLife]; for minutes with Discord
//	server closes                        not known    sessions outlive 1000, 1001, 4000, 4001, 4002, 4005 and 4008
//	client that does not read            not known    severed when a write has waited for 5 s
//	RESUME                               yes          not limited; the events that were missed, under their old numbers, then RESUMED with one of
//	                                                  its own, which is never replayed; op 9 (d false) where the session has ended
//	RESUME with a seq of long ago        mostly       op 9 (d false) where it is older than the events that are kept ([WithReplay]); the session
//	                                                  ends. Discord's bound is not documented
//	RESUME elsewhere                     mostly       [Server.GatewayURL] and resume_gateway_url take it alike; Discord disconnects more often there
//	several sessions of a shard          yes          legal
//	HELLO                                yes          heartbeat_interval is 41250, or of [WithHeartbeat]
//	READY                                mostly       all that Discord is known to send, for a bot without private channels
//	GUILD_CREATE, MESSAGE_CREATE         mostly       of [WithGuilds] and [WithMessages]: one channel, one role, invented members
//	intents                              no           they do not select events
//	opcodes 3, 4, 8, 31                  no           taken, and never answered
//	GET /gateway, /gateway/bot           yes          also /users/@me, /oauth2/applications/@me and /applications/@me; at /, /api and /api/vN
//	rate limit of these                  no           headers say 50 a second, which is not enforced; 429 by [Server.LimitGatewayBot] only
//	other routes                         no           404
//
// # Transport
//
// What a connection's URL and IDENTIFY ask for, what comes of it, and whether
// Discord does the same:
//
//	encoding=json, or none               yes          a client may send text and binary messages
//	encoding=etf, from a client          yes          keys are binaries; IDs are integers or binaries; [0,1] may be a STRING
//	encoding=etf, to a client            mostly       op, d, s, t and the event's name are atoms (ATOM), other keys binaries, IDs integers;
//	                                                  Discord has some IDs as binaries and some inner keys as atoms; no list is a STRING
//	compress=zlib-stream                 yes          one stream for the connection, and a flush (00 00 ff ff) after each payload, which is
//	                                                  never spread over messages
//	compress=zstd-stream                 yes          with [WithZstd]; else 501, whose body says so
//	compress: true in IDENTIFY           nobody says  READY, and payloads of 1 KiB or more, are a zlib stream each, in binary messages;
//	                                                  not after a RESUME
//	the same in ETF, or in a stream      yes          nothing
//	another encoding or compress         not known    4002
//	permessage-deflate                   yes          never
//	compressed messages of a client      yes          4002
//	ETF with atoms for keys              yes          4002
//	ETF with tuples, or deeper than 256  not known    4002
//	JSON or binaries not in UTF-8        not known    4002
//
// # Bot libraries
//
// Tried with disgo v0.19.6 and discordgo v0.29.0.
//
//   - disgo asks for zstd-stream by default: give the server [WithZstd], or disgo
//     gateway.WithCompression(gateway.CompressionZlibStream); and
//     rest.WithURL(srv.URL()+"/api/v10"). discordgo needs nothing but
//     discordgo.EndpointAPI, EndpointGateway and EndpointGatewayBot below
//     srv.URL()+"/api/v9/".
//   - The resume_gateway_url of READY has another host (localhost) than
//     [Server.GatewayURL] (127.0.0.1), as with Discord. disgo resumes there;
//     discordgo v0.29.0 does not know of it, and resumes where it identified.
//   - discordgo answers op 9 with an IDENTIFY at once. With no delay at all it
//     spends a whole budget in well under a second; [WithTransit] gives it the
//     pace of a real network.
//   - disgo has data races of its own, which the race detector reports in any
//     test that has it reconnect.
package gatewaytest
