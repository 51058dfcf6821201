// Real libraries in two processes each, unmodified, against a strict fake Discord.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Client } from 'gatewayqueue-discord';
import { LONG_WINDOW, Stage, TOKEN } from './stage.mjs';

const BOT = fileURLToPath(new URL('bot.mjs', import.meta.url));
const require = createRequire(import.meta.url);

const libraries = {
  'discordjs-ws': { module: '@discordjs/ws' },
  'discordjs-ws in threads': { module: '@discordjs/ws' },
  'discord.js': {},
  'oceanic.js': { gate: true },
  eris: { gate: true },
  cloudstorm: {},
  detritus: { module: 'detritus-client-socket' },
};

function installed(module) {
  try {
    return Boolean(require.resolve(module));
  } catch (error) {
    return error.code === 'ERR_PACKAGE_PATH_NOT_EXPORTED';
  }
}

describe('libraries', { concurrency: 5 }, () => {
  for (const [library, { module = library, gate = false }] of Object.entries(libraries)) {
    const skip = installed(module) ? false : `no ${module}`;
    const start = (stage, shards, count) => {
      const { api, gateway, token } = stage.discord;
      const flags = gate ? ['--import', 'gatewayqueue-discord/gate'] : [];
      stage.bot([process.execPath, ...flags, BOT, library, JSON.stringify({ api, gateway, token, shards, count })]);
    };

    test(`${library}: a start, a reconnect and a restart of all`, { skip }, async (t) => {
      const stage = await Stage.open(t, { discord: true, concurrency: 2, heartbeat: 8000 });
      for (const shards of [[0, 1, 2], [3, 4, 5]]) start(stage, shards, 6);
      await stage.untilReady(6);
      await stage.judge(6);
      await stage.discord.do('reconnect');
      await stage.until('all resumed', async () => (await stage.discord.state()).stats.resumes === 6);
      await stage.untilReady(6);
      await stage.judge(6);
      await stage.discord.do('restart');
      await stage.until('all have identified again', async () => (await stage.discord.state()).verdict.identifies >= 12);
      await stage.untilReady(6);
      await stage.judge(12);
    });

    test(`${library}: connections severed in line cost nothing`, { skip }, async (t) => {
      const stage = await Stage.open(t, { discord: true, window: LONG_WINDOW });
      const queue = new Client({ url: stage.url, token: TOKEN, warn() {} });
      t.after(() => queue.close());
      const holder = await queue.acquire(0);
      start(stage, [0, 1], 2);
      await stage.untilWaiting(2);
      const { connections } = (await stage.discord.state()).stats;
      await stage.discord.do('drop');
      await stage.until('dialled again', async () => (await stage.discord.state()).stats.connections >= connections + 2);
      await stage.untilWaiting(2);
      await holder.abandon();
      await stage.untilReady(2);
      await stage.judge(2);
    });
  }
});
