'use strict';
// How a hook in a library waits: for it, an error would be leave to go on.

const { Wait } = require('./client.js');
const { sleep } = require('./sleep.js');

const AGAIN = 10_000; // ms, after a refusal
const LOOK = 100; // ms, how often a connection is looked at

/**
 * Waits until the shard may identify, whatever happens: a refusal is told and asked
 * again. It rejects only when the signal aborts. `use` is called with the permit while
 * it is good; where IDENTIFY is sent later, no more than microtasks may lie between.
 */
async function turn(client, shard, signal, use) {
  const wait = new Wait(client, shard);
  for (;;) {
    let permit;
    try {
      permit = await wait.permit(signal);
    } catch (error) {
      signal.throwIfAborted();
      client._warn(`shard ${shard} may not identify: ${error.message}: asking again in ${AGAIN / 1000} s`);
      await sleep(AGAIN, signal);
      continue;
    }
    if (signal.aborted) {
      permit.abandon();
      throw signal.reason;
    }
    if (permit.left() > 0) return use(permit); // else: again by the same wait, which is paid
  }
}

/**
 * Waits for the turn of a shard on a connection, which `isOpen` is asked about, and
 * calls `identify`, which sends IDENTIFY and says whether it did. If the connection
 * ends first, the shard leaves the line.
 * Returns a function that gives up.
 */
function inTurn(client, shard, isOpen, identify) {
  const leaving = new AbortController();
  const giveUp = () => {
    clearInterval(look);
    leaving.abort(new Error('the connection has ended'));
  };
  const look = setInterval(() => isOpen() || giveUp(), LOOK);
  const use = (permit) => {
    let sent = false;
    try {
      sent = isOpen() && identify();
    } finally {
      if (sent) permit.identified();
      else permit.abandon();
    }
  };
  const done = turn(client, shard, leaving.signal, use).catch((error) => {
    if (!leaving.signal.aborted) client._warn(`shard ${shard}: IDENTIFY was not sent: ${error.message}`);
  });
  done.finally(() => clearInterval(look));
  return giveUp;
}

module.exports = { inTurn, turn };
