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

var catalogue = []library{
	{name: "discord.js 14.28.1", section: "discord.js (JavaScript)"},
	{name: "@discordjs/ws 2.0.4", section: "@discordjs/ws (JavaScript)"},
	{name: "@discordjs/ws 1.2.3", matrixOnly: true, section: "@discordjs/ws (JavaScript)", edits: []edit{{"'@discordjs/ws'", "'discordjs-ws-1'"}}},
	{name: "@discordjs/ws 2.0.4, worker threads", section: "@discordjs/ws (JavaScript)", edits: []edit{
		{"{ WebSocketManager }", "{ WebSocketManager, WorkerShardingStrategy }"},
		{"identifyThrottler(queue)", "identifyThrottler(queue, { withinMs: 250 })"},
		{"  rest, // 1.2\n", "  rest,\n  buildStrategy: (bot) => new WorkerShardingStrategy(bot, { shardsPerWorker: 2 }),\n"},
	}},
	{name: "oceanic.js 1.15.0", section: "oceanic.js (JavaScript)", gate: true},
	{name: "eris 0.18.0", section: "eris (JavaScript)", gate: true},
	{name: "dysnomia 0.2.4", section: "dysnomia (JavaScript)", gate: true},
	{name: "discordeno 21.0.0", section: "discordeno (JavaScript)", gate: true},
	{name: "seyfert 5.1.0", section: "seyfert (JavaScript)", gate: true},
	{name: "cloudstorm 0.13.2", section: "cloudstorm (JavaScript)"},
	{name: "detritus-client-socket 0.8.3", section: "detritus-client-socket (JavaScript)"},
	{name: "discord.py 2.2.2", section: "discord.py (Python)", python: true},
}
