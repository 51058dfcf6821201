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
// It enforces what Discord enforces:
//
//   - An IDENTIFY inside its bucket's window is answered with Invalid Session
//     (op 9, d false), is a violation, and starts a new window. A client that
//     answers by identifying again at once is thus refused for as long as it
//     does so.
//   - An IDENTIFY past the daily limit ends every session and voids the token:
//     every connection is closed with 4004, now and from then on.
//   - A connection that has identified and does so again is closed with 4005; a
//     bad shard array closes with 4010, a wrong token with 4004, no heartbeat for
//     two intervals with 4009, and so on. Several sessions of one shard are
//     legal.
//   - RESUME is not limited. It leads to RESUMED, or to op 9 if the session has
//     ended: by its client's close frame with 1000 or 1001, by [Server.Restart],
//     or by any of the above.
//
// Its delays and failures are options; each Delay and When can be a function of
// the test's own. Delays are in real time: a Server does not work in a synctest
// bubble.
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
