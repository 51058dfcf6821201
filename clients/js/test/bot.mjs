// A bot without a library: bot.mjs CLASS CONFIG, in a process of its own. Each shard
// identifies once, by the WebSocket of ws or node's own.

import { createRequire } from 'node:module';

const [library, json] = process.argv.slice(2);
const { gateway, token, shards, count } = JSON.parse(json);

const WebSocket = library === 'native' ? globalThis.WebSocket : createRequire(import.meta.url)('ws');
for (const shard of shards) {
  const socket = new WebSocket(`${gateway}/?v=10&encoding=json`);
  const identify = { op: 2, d: { token, intents: 0, shard: [shard, count], properties: {} } };
  socket.addEventListener('message', () => socket.send(JSON.stringify(identify)), { once: true });
}
