import assert from 'node:assert/strict';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { Client } from 'gatewayqueue-discord';

function withEnvironment(values, run) {
  const before = { ...process.env };
  Object.assign(process.env, values);
  try {
    run();
  } finally {
    for (const name of Object.keys(values)) {
      if (name in before) process.env[name] = before[name];
      else delete process.env[name];
    }
  }
}

test('a setting that is wrong is refused by its name', () => {
  for (const [options, words] of [
    [{ url: '' }, 'url: number 1'],
    [{ url: 'queue:8080' }, 'url: number 1'],
    [{ url: 'http://a:1,ftp://b' }, 'url: number 2'],
    [{ url: 'http://a:99999' }, 'url: number 1'],
    [{ url: 'http://a:0' }, 'url: number 1'],
    [{ url: 'http://a/?x=1' }, 'url: number 1'],
    [{ url: 'http://user:secret@a' }, "want the server's token in token"],
    [{ url: 5 }, 'url: want a text'],
    [{ token: '' }, 'token: is empty'],
    [{ token: 'a secret' }, 'token:'],
    [{ token: 'ä' }, 'token:'],
    [{ token: null }, 'token:'],
    [{ maxWaitMs: 999 }, 'maxWaitMs: 999: want 1000 to 600000'],
    [{ maxWaitMs: 600_001 }, 'maxWaitMs: 600001'],
    [{ maxWaitMs: NaN }, 'maxWaitMs: NaN'],
    [{ maxWaitMs: '2000' }, 'maxWaitMs: 2000'],
    [{ warn: 'loudly' }, 'warn:'],
    [{ maxWait: 5 }, 'options: maxWait is unknown: want url, token, maxWaitMs, warn'],
    [null, 'options: null'],
  ]) {
    assert.throws(() => new Client(options), (error) => error.message.includes(words) && !error.message.includes('secret'), words);
  }
});

test('the environment has what the options leave out, and an option goes first', () => {
  const file = join(mkdtempSync(join(tmpdir(), 'gatewayqueue-')), 'token');
  writeFileSync(file, 'a-token\n');
  withEnvironment({ GATEWAYQUEUE_URL: 'http://a:1/, https://b/x', GATEWAYQUEUE_AUTH_TOKEN_FILE: file }, () => {
    assert.deepEqual(new Client()._wire.servers, ['http://a:1', 'https://b/x']);
    assert.deepEqual(new Client({ url: 'http://c' })._wire.servers, ['http://c']);
    writeFileSync(file, ' ');
    assert.throws(() => new Client(), /GATEWAYQUEUE_AUTH_TOKEN_FILE: .* is empty/);
    new Client({ token: 'given' });
  });
  withEnvironment({ GATEWAYQUEUE_AUTH_TOKEN_FILE: '/nowhere/at/all' }, () => {
    assert.throws(() => new Client(), /GATEWAYQUEUE_AUTH_TOKEN_FILE: .* cannot be read \(ENOENT\)/);
  });
  for (const name of ['GATEWAYQUEUE_URL', 'GATEWAYQUEUE_AUTH_TOKEN', 'GATEWAYQUEUE_AUTH_TOKEN_FILE']) {
    withEnvironment({ [name]: ' ' }, () => assert.throws(() => new Client(), { message: new RegExp(`^${name}: is set but empty`) }));
  }
  assert.deepEqual(new Client()._wire.servers, ['http://127.0.0.1:8080']);
});

test('the clock that has seen the most counts', async (t) => {
  const main = createRequire(import.meta.url).resolve('gatewayqueue-discord');
  const { Moment } = (await import(join(dirname(main), 'clock.js'))).default;
  for (const [object, name] of [[performance, 'now'], [Date, 'now']]) {
    const moment = new Moment();
    const real = object[name].bind(object);
    t.mock.method(object, name, () => real() + 1000);
    assert.ok(moment.since() > 999);
    t.mock.method(object, name, () => real() - 10_000_000); // a step backwards
    assert.ok(moment.since() >= 0);
    t.mock.restoreAll();
  }
});
