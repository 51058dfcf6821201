// A bot of a real library: bot.mjs LIBRARY CONFIG, in a process of its own.

import { createRequire } from 'node:module';
import { Client as Queue, cloudstorm, detritus, identifyThrottler } from 'gatewayqueue-discord';

const [library, json] = process.argv.slice(2);
const { api, gateway, token, shards, count } = JSON.parse(json);
const require = createRequire(import.meta.url);
const rest = `${api}/api`;
const told = (error) => console.error('told:', error?.message ?? error);
process.on('unhandledRejection', told);

// What REST and gateway are, they would ask Discord: here they are told.
const info = async () => ({ url: gateway, shards: count, session_start_limit: { total: 1000, remaining: 1000, reset_after: 8.64e7, max_concurrency: 100 } });

const bots = {
  async 'discordjs-ws'(options = {}, more = {}) {
    const { WebSocketManager } = await import('@discordjs/ws');
    const { REST } = await import('@discordjs/rest');
    const common = { token, intents: 0, shardCount: count, shardIds: shards, buildIdentifyThrottler: () => identifyThrottler(new Queue(), options), ...more };
    const http = new REST({ api: rest }).setToken(token);
    const manager = new WebSocketManager({ ...common, rest: http, fetchGatewayInformation: info });
    manager.on('error', told);
    await manager.connect();
  },
  async 'discordjs-ws in threads'() {
    const { WorkerShardingStrategy } = await import('@discordjs/ws');
    const buildStrategy = (manager) => new WorkerShardingStrategy(manager, { shardsPerWorker: 2 });
    await this['discordjs-ws']({ withinMs: 250 }, { buildStrategy });
  },
  async 'discord.js'() {
    const { Client } = await import('discord.js');
    const ws = { buildIdentifyThrottler: () => identifyThrottler(new Queue()) };
    const bot = new Client({ intents: [], shards, shardCount: count, rest: { api: rest }, ws });
    bot.on('error', told);
    await bot.login(token);
  },
  async 'oceanic.js'() {
    const { Client } = await import('oceanic.js');
    const bot = new Client({
      auth: `Bot ${token}`,
      rest: { baseURL: `${rest}/v10` },
      gateway: { intents: 0, compress: false, shardIDs: shards, maxShards: count, concurrency: 100, override: { url: () => gateway, getBot: async () => ({ url: gateway, shards: count, sessionStartLimit: { total: 1000, remaining: 1000, resetAfter: 8.64e7, maxConcurrency: 100 } }) } },
    });
    bot.on('error', told);
    await bot.connect();
  },
  async eris() {
    const eris = require('eris');
    const bot = new eris.Client(`Bot ${token}`, { intents: [], firstShardID: shards[0], lastShardID: shards.at(-1), maxShards: count, maxConcurrency: 100 });
    bot.getBotGateway = info;
    bot.on('error', told);
    await bot.connect();
  },
  async ws(WebSocket = require('ws')) {
    const identify = (shard) => ({ op: 2, d: { token, intents: 0, shard: [shard, count], properties: {} } });
    for (const shard of shards) {
      const socket = new WebSocket(`${gateway}/?v=10&encoding=json`);
      socket.addEventListener('message', () => socket.send(JSON.stringify(identify(shard))), { once: true });
    }
  },
  native() {
    return this.ws(globalThis.WebSocket);
  },
  async cloudstorm() {
    const { Client } = require('cloudstorm');
    const bot = new Client(token, { intents: 0, shards, totalShards: count, connectQueueInterval: 0, snowtransferInstance: { bot: { getGatewayBot: info, getGateway: info } } });
    bot.on('error', told);
    cloudstorm(bot, new Queue());
    await bot.connect();
  },
  async detritus() {
    const { Gateway } = require('detritus-client-socket');
    const queue = new Queue();
    for (const shardId of shards) {
      const socket = new Gateway.Socket(token, { shardId, shardCount: count, autoReconnect: true, reconnectDelay: 100, intents: 0 });
      socket.on('warn', told);
      detritus(socket, queue);
      socket.connect(gateway);
    }
  },
};

await bots[library]();
