// Is compiled, not run: what a user of TypeScript writes, in ESM.

import { WebSocketManager } from '@discordjs/ws';
import { Client as Bot } from 'discord.js';
import WebSocket from 'ws';
import { Client, PermitLapsed, Refused, cloudstorm, detritus, gate, identifyThrottler } from 'gatewayqueue-discord';
import 'gatewayqueue-discord/gate';

export async function all(options: Omit<ConstructorParameters<typeof WebSocketManager>[0], 'buildIdentifyThrottler'>): Promise<void> {
  const queue = new Client({ url: 'http://queue:8080', token: 't', maxWaitMs: 30_000, warn: (text: string) => void text });
  try {
    const permit = await queue.acquire(3, { signal: AbortSignal.timeout(1000) });
    const left: number = permit.left();
    if (left > 0) void permit.identified({ withinMs: 200 });
    else await permit.abandon();
  } catch (error) {
    if (error instanceof Refused) console.log(error.status, error.type);
    if (error instanceof PermitLapsed) console.log(error.message);
  }
  new WebSocketManager({ ...options, buildIdentifyThrottler: () => identifyThrottler(queue, { withinMs: 250 }) } as typeof options);
  new Bot({ intents: [], ws: { buildIdentifyThrottler: () => identifyThrottler(queue) } });
  gate(WebSocket, queue);
  cloudstorm({}, queue);
  detritus({}, queue);
  // @ts-expect-error unknown option
  new Client({ maxWait: 1 });
  // @ts-expect-error a shard is a number
  await queue.acquire('3');
  await queue.close();
}
