// The stage of the tests: real servers, a strict fake Discord, and bots as processes.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const PROGRAMS = process.env.GQ_TEST_PROGRAMS ?? ''; // gatewayqueue, built by e2e_test.go
const REDIS = process.env.GQ_TEST_REDIS ?? ''; // host:port of a redis-server
export const TOKEN = 'a-token-of-the-tests';
export const WINDOW = 1000; // ms
/** For tests that hold a permit, whose lease is as long: the machine may be slow. */
export const LONG_WINDOW = 5000;

let apps = process.pid * 100;
const running = new Set();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));

export class Process {
  said = '';

  constructor(stage, command, { env = {}, stdout = 'ignore', cwd } = {}) {
    this.child = spawn(command[0], command.slice(1).map(String), {
      stdio: ['ignore', stdout, 'pipe'],
      env: { ...process.env, ...env },
      cwd,
    });
    this.child.stderr.on('data', (text) => (this.said += text));
    running.add(this.child);
    this.ended = once(this.child, 'exit').finally(() => running.delete(this.child));
    stage.processes.push(this);
  }

  async kill(signal = 'SIGKILL') {
    this.child.kill(signal);
    await this.ended;
  }
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

export async function request(url, { method = 'GET', token } = {}) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const answer = await fetch(url, { method, headers, signal: AbortSignal.timeout(10_000) });
  return answer.json();
}

/** Waits until a server that was just started answers. */
async function untilUp(process, answers) {
  for (const deadline = Date.now() + 60_000; ; await sleep(50)) {
    try {
      return await answers();
    } catch {
      if (Date.now() > deadline || process.child.exitCode !== null) throw new Error(process.said);
    }
  }
}

/** A gatewayqueue serve that can be killed and started again at its address. */
class Serve {
  constructor(stage, port, { redis, concurrency, window, app }) {
    this.stage = stage;
    this.url = `http://127.0.0.1:${port}`;
    this.command = [join(PROGRAMS, 'gatewayqueue'), 'serve', '--port', port, '--fresh-start', '--window', `${window}ms`];
    this.command.push('--max-concurrency', concurrency, '--total', 1000);
    if (redis) this.command.push('--redis', `redis://${REDIS}`, '--app', app);
  }

  async start() {
    this.process = new Process(this.stage, this.command, { env: { GATEWAYQUEUE_AUTH_TOKEN: TOKEN } });
    return untilUp(this.process, () => this.status());
  }

  status() {
    return request(`${this.url}/v1/status`, { token: TOKEN });
  }
}

class Discord {
  static async start(stage, { concurrency, window, heartbeat, latency }) {
    const port = await freePort();
    const token = 'a-token-of-the-bots';
    const command = [join(PROGRAMS, 'gatewayqueue'), 'fake-discord', '--port', port, '--token', token];
    command.push('--max-concurrency', concurrency, '--window', `${window}ms`, '--heartbeat', `${heartbeat}ms`);
    command.push('--latency', `${latency / 4}ms-${latency}ms`, '--transit', '0s', '--ready-delay', `${latency / 4}ms-${latency}ms`);
    const self = Object.assign(new Discord(), { api: `http://127.0.0.1:${port}`, gateway: `ws://127.0.0.1:${port}`, token });
    self.process = new Process(stage, command);
    await untilUp(self.process, () => self.state());
    return self;
  }

  state() {
    return request(`${this.api}/control/state`);
  }

  do(what, shards = '') {
    return request(`${this.api}/control/${what}${shards && `?shards=${shards}`}`, { method: 'POST' });
  }
}

/** What a test runs on; all of it ends with the test `t`. */
export class Stage {
  processes = [];
  bots = [];

  static async open(t, options = {}) {
    const { servers = 2, redis = true, concurrency = 1, window = WINDOW, heartbeat = 41_250, latency = 100, discord = false } = options;
    const stage = new Stage();
    t.after(() => Promise.all(stage.processes.map((one) => one.kill())));
    const app = ++apps;
    stage.servers = [];
    for (let n = 0; n < servers; n++) {
      stage.servers.push(new Serve(stage, await freePort(), { redis, concurrency, window, app }));
    }
    await Promise.all(stage.servers.map((server) => server.start()));
    if (discord) stage.discord = await Discord.start(stage, { concurrency, window, heartbeat, latency });
    stage.url = stage.servers.map((server) => server.url).join(',');
    stage.env = { GATEWAYQUEUE_URL: stage.url, GATEWAYQUEUE_AUTH_TOKEN: TOKEN };
    return stage;
  }

  bot(command, env = {}) {
    const bot = new Process(this, command, { env: { ...this.env, ...env } });
    this.bots.push(bot);
    return bot;
  }

  /** Waits until a condition holds; a time that is over is a failure, with all logs. */
  async until(what, condition, within = 40_000) {
    for (const deadline = Date.now() + within; !(await condition()); await sleep(50)) {
      if (Date.now() < deadline) continue;
      const logs = [...this.bots, ...this.servers.map((s) => s.process)].map((p) => p.said.slice(-3000)).join('\n');
      const state = this.discord === undefined ? '' : JSON.stringify(await this.discord.state());
      assert.fail(`not ${what} within ${within} ms: ${state}\n${logs}`);
    }
  }

  untilReady(n) {
    return this.until(`${n} ready`, async () => (await this.discord.state()).ready.length === n);
  }

  untilWaiting(n) {
    // The places of a server that was killed stay until their turn.
    return this.until(`${n} in line`, async () => (n === 0 ? (await this.waiting()) === 0 : (await this.waiting()) >= n));
  }

  async status() {
    for (const server of this.servers) {
      try {
        return await server.status();
      } catch {
        // the next one
      }
    }
    throw new Error('no server answers');
  }

  async waiting() {
    return (await this.status()).buckets.reduce((sum, bucket) => sum + bucket.waiting, 0);
  }

  async units() {
    const { budget } = await this.status();
    return budget.total - budget.remaining;
  }

  /** No violation, and one unit for each IDENTIFY that reached Discord. */
  async judge(identifies) {
    const { verdict } = await this.discord.state();
    assert.deepEqual(
      [verdict.violations, verdict.over_budget, verdict.identifies],
      [0, 0, identifies],
      JSON.stringify(verdict),
    );
    assert.equal(await this.units(), identifies, 'units of the budget');
  }
}
