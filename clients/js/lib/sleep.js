'use strict';

const timers = require('node:timers/promises');

/** Sleeps; rejects with the signal's own reason, where node's would be an AbortError. */
async function sleep(ms, signal, { ref = true } = {}) {
  signal?.throwIfAborted();
  try {
    await timers.setTimeout(ms, undefined, { signal, ref });
  } catch (error) {
    throw signal.reason;
  }
}

module.exports = { sleep };
