// The /v1 client against real servers, and against answers that are none.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, GatewayQueueError, PermitLapsed, Refused } from 'gatewayqueue-discord';
import { LONG_WINDOW, Stage, TOKEN, WINDOW } from './stage.mjs';

const quiet = () => {};

function open(t, stage, options = {}) {
  const client = new Client({ url: stage.url, token: TOKEN, warn: quiet, ...options });
  t.after(() => client.close());
  return client;
}

describe('client', { concurrency: true }, () => {
  for (const redis of [true, false]) {
    const where = redis ? 'two servers on Redis' : 'one server in memory';
    for (const window of [WINDOW, LONG_WINDOW]) {
      test(`permits are had, renewed, reported and given back: ${where}, window ${window} ms`, async (t) => {
        const stage = await Stage.open(t, { redis, servers: redis ? 2 : 1, window });
        const client = open(t, stage);
        let permit = await client.acquire(0);
        if (window === LONG_WINDOW) await sleep(1.5 * window); // longer than a lease, which is as long as the window
        assert.ok(permit.left() > 0);
        await permit.abandon();
        assert.equal(await stage.units(), 0);
        await assert.rejects(permit.renew(), PermitLapsed);
        permit = await client.acquire(0);
        await permit.identified();
        await permit.identified();
        assert.equal(permit.left(), 0);
        const began = performance.now();
        permit = await client.acquire(0);
        assert.ok(performance.now() - began > 0.9 * window);
        assert.throws(() => permit.identified({ withinMs: -1 }), /withinMs: -1: want 0 to 60000/);
        await permit.identified({ withinMs: window / 5 });
        assert.equal(await stage.units(), 2);
      });
    }

    test(`a caller that aborts leaves the line, and a grant on its way goes back: ${where}`, async (t) => {
      const stage = await Stage.open(t, { redis, servers: redis ? 2 : 1, window: LONG_WINDOW });
      const client = open(t, stage);
      const permit = await client.acquire(0);
      const reason = new Error('the shard was closed');
      const leaving = new AbortController();
      const waits = [1, 2, 3, 4, 5].map((shard) => client.acquire(shard, { signal: leaving.signal }));
      await stage.untilWaiting(5);
      leaving.abort(reason);
      for (const wait of waits) await assert.rejects(wait, reason);
      await stage.untilWaiting(0);
      await assert.rejects(client.acquire(1, { signal: leaving.signal }), reason);
      for (let n = 0; n < 40; n++) {
        const late = new AbortController();
        const wait = client.acquire(0, { signal: late.signal });
        await sleep(2 * n);
        if (n === 0) permit.abandon();
        late.abort(reason);
        await wait.then((had) => had.abandon(), (error) => assert.equal(error, reason));
      }
      await stage.until('all given back', async () => (await stage.units()) === 0, 10_000);
    });
  }

  test('the place is kept through servers that stop: a 503 has the ticket, and before a kill it is known', async (t) => {
    const stage = await Stage.open(t, { window: LONG_WINDOW });
    const client = open(t, stage, { maxWaitMs: 2000 });
    const permit = await client.acquire(0);
    const order = [];
    const waits = [];
    for (let shard = 1; shard <= 5; shard++) {
      waits.push(client.acquire(shard).then((had) => (order.push(shard), had.abandon())));
      await stage.untilWaiting(shard);
    }
    for (const [at, signal] of [[0, 'SIGTERM'], [1, 'SIGKILL']]) {
      await stage.servers[at].process.kill(signal);
      await sleep(500);
      await stage.servers[at].start();
      await stage.untilWaiting(5);
    }
    await sleep(4000); // the killed server's own lease
    await stage.untilWaiting(5);
    assert.ok(permit.left() > 0, 'renewed at the other server');
    await permit.abandon();
    await Promise.all(waits);
    assert.deepEqual(order, [1, 2, 3, 4, 5]);
  });

  test('a report reaches a server that comes back', async (t) => {
    const stage = await Stage.open(t, { window: LONG_WINDOW });
    const client = open(t, stage);
    const permit = await client.acquire(0);
    await Promise.all(stage.servers.map((server) => server.process.kill()));
    const report = permit.abandon();
    await sleep(500);
    await Promise.all(stage.servers.map((server) => server.start()));
    await report;
    assert.equal(await stage.units(), 0);
  });

  test('a permit that no server renews is not good any more', async (t) => {
    const stage = await Stage.open(t);
    const permit = await open(t, stage).acquire(0);
    await Promise.all(stage.servers.map((server) => server.process.kill()));
    await sleep(WINDOW);
    assert.ok(permit.left() <= 0);
    await assert.rejects(permit.renew(), PermitLapsed);
  });

  test('refusals are told', async (t) => {
    const stage = await Stage.open(t, { servers: 1, redis: false, discord: true, window: LONG_WINDOW });
    await assert.rejects(open(t, stage, { token: 'another-token' }).acquire(0), (error) => {
      assert.ok(error instanceof Refused && error instanceof GatewayQueueError);
      assert.deepEqual([error.name, error.status, error.type], ['Refused', 401, 'unauthorized']);
      return true;
    });
    const client = open(t, stage);
    for (const shard of [-1, 1.5, '0', 2 ** 31, null, undefined, NaN]) {
      await assert.rejects(client.acquire(shard), { name: 'RangeError', message: /^shard: / });
    }
    await assert.rejects(open(t, stage, { url: stage.discord.api }).acquire(0), /not gatewayqueue's \/v1/);
    await client.acquire(0);
    const waiting = assert.rejects(client.acquire(0), /the client is closed/);
    await stage.untilWaiting(1);
    await client.close();
    await waiting;
    await assert.rejects(client.acquire(0), /the client is closed/);
    await stage.untilWaiting(0);
  });

  test('an answer that may be older than its permit is not used, and a wait is paid once', async (t) => {
    const stage = await Stage.open(t, { servers: 1 });
    const plan = [];
    const asked = [];
    // Between client and server stands what delays answers, loses them, or answers for the server.
    const between = http.createServer(async (incoming, outgoing) => {
      const parts = [];
      for await (const part of incoming) parts.push(part);
      const body = Buffer.concat(parts);
      const step = incoming.method === 'POST' && incoming.url === '/v1/permits' ? plan.shift() : undefined;
      if (step !== undefined) asked.push({ step, at: performance.now(), body: JSON.parse(body) });
      if (step === 502) return outgoing.writeHead(502, { 'Retry-After': '1' }).end('<html>');
      if (step === 'none') return outgoing.writeHead(200).end(JSON.stringify({ id: 'x', shard: '0', good_for_ms: 5000 }));
      const onwards = http.request(stage.url + incoming.url, { method: incoming.method, headers: incoming.headers, agent: false });
      onwards.on('response', async (answer) => {
        const parts = [];
        for await (const part of answer) parts.push(part);
        if (step === 'late') await sleep(3 * WINDOW);
        if (step === 'lost') return incoming.socket.destroy();
        outgoing.writeHead(answer.statusCode, answer.headers).end(Buffer.concat(parts));
      });
      onwards.end(body);
    });
    between.listen(0, '127.0.0.1');
    await once(between, 'listening');
    t.after(() => between.close());
    const client = open(t, stage, { url: `http://127.0.0.1:${between.address().port}` });
    let paid = 0;
    for (const steps of [['late'], ['lost'], ['none'], ['late', 502, 'lost']]) {
      plan.push(...steps);
      const permit = await client.acquire(0);
      assert.ok(permit.left() > 0, steps);
      assert.deepEqual(plan, [], steps);
      await permit.identified();
      assert.equal(await stage.units(), ++paid, `paid once: ${steps}`);
    }
    const bodies = asked.map(({ body }) => body);
    assert.ok(bodies.every((body) => !Object.values(body).includes(null) && body.ticket !== ''), JSON.stringify(bodies));
    assert.equal(new Set(bodies.slice(-3).map(({ key }) => key)).size, 1);
    const [refused, next] = asked.slice(-2);
    assert.ok(next.at - refused.at >= 1000, 'Retry-After is kept');
  });
});
