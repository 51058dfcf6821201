// Package gatewayproxy holds every IDENTIFY of every bot that connects through it
// until a queue grants it, whatever library the bot is written with. Bots connect to
// a [Proxy] as if it were gateway.discord.gg; it connects each to Discord, and passes
// everything on as it is, both ways. No code of the bot changes but the address.
//
//	queue, err := redisqueue.New(client, redisqueue.WithApp(id), redisqueue.WithLimitSource(redisqueue.DiscordLimits(nil, token)))
//	...
//	proxy, err := gatewayproxy.New(gatewayproxy.One(queue))
//	...
//	http.ListenAndServe("127.0.0.1:7777", proxy)
//
// The program is gatewayqueue proxy; docs/proxy.md is about using it.
//
// # What it does
//
//   - IDENTIFY (op 2) is held on every connection, however that began: also one that
//     began with RESUME, and whose session Discord has refused. The window starts
//     when it has left. RESUME and all else pass at once; messages that come behind
//     an IDENTIFY that is held pass after it, in their order.
//   - While it is held, heartbeats pass, and are sent for a bot that sends none. If
//     Discord closes the connection the bot keeps its own, and is given another.
//   - A bot that hangs up while it waits keeps its place in line for a minute.
//   - READY's resume_gateway_url is changed, so that sessions resume through the
//     proxy, and so is url in GET /api/gateway and /api/gateway/bot. Nothing else is.
//
// # What it refuses
//
// A message that Discord and the proxy could read differently is not passed on: the
// bot is closed with the code that Discord has for it (4002 for what cannot be
// decoded, 4004 for no token, 4010 for no shard, 4005 for a second IDENTIFY), frames
// that no client may send with 1002. Nobody is connected to another host than
// Discord's gateways, or those of [WithHosts].
//
// # Tokens
//
// A bot's token is seen in its IDENTIFY, and used to ask Discord for its limits. It
// stays in memory, and is in no log, no error and no store.
package gatewayproxy
