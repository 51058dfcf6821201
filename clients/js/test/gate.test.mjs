// The gate on real WebSockets, against a strict fake Discord.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Client, UnsupportedLibrary, gate } from 'gatewayqueue-discord';
import { LONG_WINDOW, Stage, TOKEN } from './stage.mjs';

const require = createRequire(import.meta.url);
const lib = dirname(require.resolve('gatewayqueue-discord'));
let ws;
try {
  ws = require('ws');
} catch {
  // the tests are skipped
}

/** A term in ETF as erlpack writes it. */
function etf(term) {
  const size = (tag, n) => {
    const head = Buffer.from([tag, 0, 0, 0, 0]);
    head.writeUInt32BE(n, 1);
    return head;
  };
  if (term === null) return Buffer.from([115, 3, ...Buffer.from('nil')]);
  if (typeof term === 'boolean') return Buffer.from([115, String(term).length, ...Buffer.from(String(term))]);
  if (typeof term === 'number') return term < 256 ? Buffer.from([97, term]) : size(98, term);
  if (typeof term === 'string') return Buffer.concat([size(109, Buffer.byteLength(term)), Buffer.from(term)]);
  if (Array.isArray(term)) return Buffer.concat([size(108, term.length), ...term.map(etf), Buffer.from([106])]);
  const entries = Object.entries(term);
  return Buffer.concat([size(116, entries.length), ...entries.flat().map(etf)]);
}
const pack = (term) => Buffer.concat([Buffer.from([131]), etf(term)]);

const formats = {
  text: { encoding: 'json', pack: JSON.stringify },
  'a Buffer': { encoding: 'json', pack: (term) => Buffer.from(JSON.stringify(term)) },
  'an ArrayBuffer': { encoding: 'json', pack: (term) => new Uint8Array(Buffer.from(JSON.stringify(term))).buffer },
  ETF: { encoding: 'etf', pack },
};

describe('gate', { concurrency: true, skip: ws === undefined && 'no ws' }, () => {
  /** A class of its own for each test, since a gate belongs to a class. */
  async function open(t, options) {
    const stage = await Stage.open(t, { discord: true, window: LONG_WINDOW, ...options });
    const client = new Client({ url: stage.url, token: TOKEN, warn() {} });
    t.after(() => client.close());
    class WebSocket extends ws {
      send(...sending) {
        return super.send(...sending);
      }
    }
    gate(WebSocket, client);
    gate(WebSocket, client);
    const connect = async (encoding = 'json') => {
      const socket = new WebSocket(`${stage.discord.gateway}/?v=10&encoding=${encoding}`);
      t.after(() => socket.terminate());
      socket.on('error', () => {});
      await once(socket, 'message'); // HELLO
      return socket;
    };
    const identify = (shard, count) => ({
      op: 2, d: { token: stage.discord.token, intents: 0, compress: false, shard: [shard, count], properties: { os: 'x', browser: 'x', device: 'x' } },
    });
    return { stage, client, connect, identify };
  }

  test('IDENTIFY waits in every format, with heartbeats', async (t) => {
    const { stage, client, connect, identify } = await open(t, { heartbeat: 3000, concurrency: 4 });
    const all = Object.values(formats);
    const holders = await Promise.all(all.map((_, shard) => client.acquire(shard)));
    const sockets = await Promise.all(all.map(({ encoding }) => connect(encoding)));
    let called = 0;
    sockets.forEach((socket, shard) => socket.send(all[shard].pack(identify(shard, all.length)), () => called++));
    await stage.untilWaiting(all.length);
    await sleep(8000); // without heartbeats the gateway closes after 6
    assert.equal((await stage.discord.state()).verdict.identifies, 0);
    assert.equal(called, 0);
    assert.ok(sockets.every((socket) => socket.readyState === ws.OPEN));
    await Promise.all(holders.map((holder) => holder.abandon()));
    await stage.until('all ready', async () => (await stage.discord.state()).stats.readies === all.length);
    await stage.judge(all.length);
    assert.equal(called, all.length);
  });

  test('a connection that ends in line leaves it, and gets no grant', async (t) => {
    const { stage, client, connect, identify } = await open(t);
    const holder = await client.acquire(0);
    const sockets = await Promise.all([connect(), connect(), connect()]);
    sockets.forEach((socket, shard) => socket.send(JSON.stringify(identify(shard, 3))));
    await stage.untilWaiting(3);
    sockets[0].removeAllListeners(); // as eris does
    sockets[0].close();
    sockets[1].terminate();
    await stage.discord.do('drop');
    await stage.untilWaiting(0);
    await holder.abandon();
    await sleep(500);
    await stage.judge(0);
  });

  test('what is no IDENTIFY passes at once', async (t) => {
    const { WebSocketServer } = ws;
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    t.after(() => server.close());
    const heard = [];
    server.on('connection', (socket) => socket.on('message', (data) => heard.push(data.toString('latin1'))));
    await once(server, 'listening');
    const client = new Client({ url: 'http://127.0.0.1:9', warn() {} });
    t.after(() => client.close());
    class WebSocket extends ws {}
    gate(WebSocket, client);
    const socket = new WebSocket(`ws://127.0.0.1:${server.address().port}`);
    t.after(() => socket.terminate());
    await once(socket, 'open');
    const passing = [
      '{"op":1,"d":null}', '{"op":6,"d":{"token":"t"}}', '{"op":2,"d":{"guild":1}}', '{"op":"2","d":{"token":"t"}}', 'no JSON "token"', '2', '',
      pack({ op: 1, d: null }), pack({ op: 6, d: { token: 't' } }), Buffer.from([131]), Buffer.from([131, 116, 255, 255, 255, 255]), Buffer.from([131, 0]),
    ];
    for (const data of passing) socket.send(data);
    while (heard.length < passing.length) await sleep(10);
    assert.deepEqual(heard, passing.map((data) => data.toString('latin1')));
    for (const shard of [['1', 2], [-1, 2], [], {}, 5]) {
      assert.throws(() => socket.send(JSON.stringify({ op: 2, d: { token: 't', shard } })), /d\.shard: .* want 0 to 2147483647/);
    }
  });

  function start(stage, flags, socket, count) {
    const { api, gateway, token } = stage.discord;
    const config = JSON.stringify({ api, gateway, token, shards: [0], count });
    return stage.bot([process.execPath, ...flags, fileURLToPath(new URL('bot.mjs', import.meta.url)), socket, config]);
  }

  const version = Number(process.versions.node.split('.')[0]);
  test("node's own WebSocket has a gate, too", { skip: version < 20 }, async (t) => {
    const { stage, client } = await open(t);
    const holder = await client.acquire(0);
    const flags = version < 22 ? ['--experimental-websocket'] : [];
    start(stage, [...flags, '--import', 'gatewayqueue-discord/gate'], 'native', 1);
    await stage.untilWaiting(1);
    assert.equal((await stage.discord.state()).verdict.identifies, 0);
    await holder.abandon();
    await stage.untilReady(1);
    await stage.judge(1);
  });

  test('a process that was stopped while its grant came does not use it late', async (t) => {
    const { stage, client } = await open(t);
    const holder = await client.acquire(0);
    const bot = start(stage, ['--require', join(lib, 'load-gate.js')], 'ws', 2);
    await stage.untilWaiting(1);
    bot.child.kill('SIGSTOP');
    await holder.abandon();
    const next = await client.acquire(1); // the permit has lapsed, and the next one has its turn
    await next.identified();
    bot.child.kill('SIGCONT');
    await stage.untilReady(1);
    const { verdict } = await stage.discord.state();
    assert.deepEqual([verdict.violations, verdict.identifies], [0, 1]);
    assert.equal(await stage.units(), 2, 'the wait is paid once');
  });

  test('a class without send is refused', () => {
    for (const WebSocket of [undefined, {}, class {}]) assert.throws(() => gate(WebSocket, new Client()), UnsupportedLibrary);
  });
});
