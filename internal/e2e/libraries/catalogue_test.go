// The libraries, and what is known of each.

package libraries

// library is one that docs/libraries.md has a section for.
type library struct {
	name    string // and version, as the tables have it
	section string
	gate    bool // started by the command of gateSection
	python  bool

	matrixOnly bool // not in the selection

	// edits turn the page's program into one for another version or option.
	edits []edit

	// address is all that leads the program, without what the queue adds, through a
	// proxy; no edit is of what it does with an IDENTIFY. See proxied_test.go.
	address []edit
	via     string // what address sets, in few words
	// impatient is a library that gives up where READY has not come 15 s after what it
	// takes for the sending of IDENTIFY. The proxy sends it away before, to its place.
	impatient bool

	quick  bool // through a proxy in every run of the tests, too
	tls443 bool // it speaks TLS to port 443 only: something in front of the proxy must, too

	// neverAgain is a library that by itself never identifies again once a RESUME was
	// refused.
	neverAgain bool
}

// language is that of its block on the page.
func (l library) language() string {
	if l.python {
		return "python"
	}
	return "js"
}

// edit is a piece of text and what stands in its place; the piece must be there.
type edit struct{ from, to string }

// What libraries have for another address of Discord's API, and of its gateway.
var (
	restEdit = []edit{{"new REST()", "new REST({ api: 'http://PROXY/api' })"}}
	// botGateway has GET /gateway/bot asked, as ever, and the proxy's address put into
	// the answer.
	botGateway = []edit{{"await bot.connect();", "const ask = bot.getBotGateway.bind(bot);\n" +
		"bot.getGateway = bot.getBotGateway = async () => ({ ...(await ask()), url: 'ws://PROXY' });\nawait bot.connect();"}}
)

var catalogue = []library{
	{
		name: "discord.js 14.28.1", section: "discord.js (JavaScript)", quick: true, impatient: true,
		via: "`rest: { api }`", address: []edit{{"shardCount: count,", "shardCount: count, rest: { api: 'http://PROXY/api' },"}},
	},
	{name: "@discordjs/ws 2.0.4", section: "@discordjs/ws (JavaScript)", impatient: true, via: "`new REST({ api })`", address: restEdit},
	{
		name: "@discordjs/ws 1.2.3", matrixOnly: true, section: "@discordjs/ws (JavaScript)", edits: []edit{{"'@discordjs/ws'", "'discordjs-ws-1'"}},
		impatient: true, via: "`new REST({ api })`", address: restEdit,
	},
	{name: "@discordjs/ws 2.0.4, worker threads", section: "@discordjs/ws (JavaScript)", impatient: true, via: "`new REST({ api })`", address: restEdit, edits: []edit{
		{"{ WebSocketManager }", "{ WebSocketManager, WorkerShardingStrategy }"},
		{"identifyThrottler(queue)", "identifyThrottler(queue, { withinMs: 250 })"},
		{"  rest, // 1.2\n", "  rest,\n  buildStrategy: (bot) => new WorkerShardingStrategy(bot, { shardsPerWorker: 2 }),\n"},
	}},
	{
		name: "oceanic.js 1.15.0", section: "oceanic.js (JavaScript)", gate: true, quick: true,
		via: "`gateway.override.url`", address: []edit{{"  gateway: {\n", "  gateway: {\n" +
			"    override: { url: async () => 'ws://PROXY/?v=10&encoding=json', gatewayURLIsResumeURL: false },\n"}},
	},
	{name: "eris 0.18.0", section: "eris (JavaScript)", gate: true, quick: true, via: "`url` of `getGateway()`", address: botGateway},
	{name: "dysnomia 0.2.4", section: "dysnomia (JavaScript)", gate: true, via: "`url` of `getGateway()`", address: botGateway},
	{
		name: "discordeno 21.0.0", section: "discordeno (JavaScript)", gate: true,
		via: "`connection.url`", address: []edit{{"https://discord.com/api/v10/gateway/bot", "http://PROXY/api/v10/gateway/bot"}},
	},
	{
		name: "seyfert 5.1.0", section: "seyfert (JavaScript)", gate: true, tls443: true,
		via:     "`info.url`; TLS on port 443 in front of the proxy",
		address: []edit{{"info: await answer.json()", "info: { ...(await answer.json()), url: 'wss://" + tls443Host + "' }"}},
	},
	{
		name: "cloudstorm 0.13.2", section: "cloudstorm (JavaScript)", via: "`snowtransferInstance`", address: []edit{
			{"import { Client } from 'cloudstorm';\n", "import { Client } from 'cloudstorm';\nimport { SnowTransfer } from 'snowtransfer';\n"},
			{"totalShards: count }", "totalShards: count, snowtransferInstance: new SnowTransfer(token, { baseHost: 'http://PROXY' }) }"},
		},
	},
	{
		name: "detritus-client-socket 0.8.3", section: "detritus-client-socket (JavaScript)", neverAgain: true,
		via: "`connect(url)`", address: []edit{{"wss://gateway.discord.gg/", "ws://PROXY/"}},
	},
	{
		name: "discord.py 2.2.2", section: "discord.py (Python)", python: true, quick: true,
		via: "`DiscordWebSocket.DEFAULT_GATEWAY`", address: []edit{{"import discord\n", "import discord\n" +
			"import yarl\ndiscord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL('ws://PROXY')\n"}},
	},
}
