'use strict';
// For @discordjs/ws, and discord.js, which is built on it.

const { turn } = require('./turn.js');

/**
 * The identify throttler of a WebSocketManager: `buildIdentifyThrottler: () => identifyThrottler(client)`.
 * `withinMs` is for shards in worker threads: how long after the grant IDENTIFY may leave.
 */
function identifyThrottler(client, { withinMs = 0 } = {}) {
  if (typeof withinMs !== 'number' || !(withinMs >= 0 && withinMs <= 2000)) {
    throw new RangeError(`withinMs: ${String(withinMs)}: want 0 to 2000 (milliseconds)`);
  }
  return {
    async waitForIdentify(shardId, signal) {
      await turn(client, shardId, signal, (permit) => {
        if (withinMs > 0) permit.identified({ withinMs });
        else setImmediate(() => permit.identified()); // IDENTIFY is sent in the microtasks after this returns
      });
    },
  };
}

module.exports = { identifyThrottler };
