'use strict';
// A gate in the WebSocket class: it holds each IDENTIFY until its turn.

const etf = require('./etf.js');
const { UnsupportedLibrary } = require('./errors.js');
const { inTurn } = require('./turn.js');

const OPEN = 1;
const BEAT = 5000; // ms between heartbeats: well within Discord's interval, and a tenth of what may be sent
const HEARTBEAT = '{"op":1,"d":null}';
const LARGEST = 1 << 20; // of what may be an IDENTIFY; the gateway takes 4 KiB

const GATE = Symbol.for('gatewayqueue.gate'); // marks a class that has one

/**
 * Holds every IDENTIFY that is sent by this class (of `ws`, or node's own) until its
 * turn, and sends heartbeats meanwhile. Once for each class.
 */
function gate(WebSocket, client) {
  const prototype = WebSocket?.prototype;
  if (typeof prototype?.send !== 'function') throw new UnsupportedLibrary('WebSocket: want a class with send, such as that of ws');
  if (Object.hasOwn(prototype, GATE)) return;
  const plain = prototype.send;
  const holds = new WeakMap(); // a socket's function that gives up
  prototype.send = function send(...sending) {
    const identify = this.readyState === OPEN ? identifyOf(sending[0]) : undefined;
    if (identify === undefined) return plain.apply(this, sending);
    if (!isShard(identify.shard)) throw new RangeError(`IDENTIFY is not sent: d.shard: ${identify.shard}: want 0 to 2147483647`);
    holds.get(this)?.(); // the library has thought better of that
    const beats = setInterval(() => this.readyState === OPEN && plain.call(this, identify.heartbeat), BEAT);
    const isOpen = () => {
      if (this.readyState !== OPEN) clearInterval(beats);
      return this.readyState === OPEN;
    };
    const giveUp = inTurn(client, identify.shard, isOpen, () => {
      clearInterval(beats);
      plain.apply(this, sending);
      return true;
    });
    holds.set(this, () => {
      clearInterval(beats);
      giveUp();
    });
  };
  Object.defineProperty(prototype, GATE, { value: true });
}

/** The shard of an IDENTIFY, and a heartbeat of its format; undefined for anything else. */
function identifyOf(data) {
  const text = typeof data === 'string';
  const bytes = text ? undefined : bytesOf(data);
  if (!text && bytes === undefined) return undefined;
  if ((text ? data : bytes).length > LARGEST) return undefined;
  const isETF = bytes?.[0] === 131;
  const payload = isETF ? etf.decode(bytes) : parse(text ? data : bytes.toString());
  // Discord's own IDENTIFY has a token. Other protocols have an op 2, too.
  if (payload?.op !== 2 || typeof payload.d?.token !== 'string') return undefined;
  const heartbeat = isETF ? etf.HEARTBEAT : text ? HEARTBEAT : Buffer.from(HEARTBEAT);
  return { shard: payload.d.shard === undefined || payload.d.shard === null ? 0 : payload.d.shard[0], heartbeat };
}

function parse(text) {
  if (!text.includes('"token"')) return undefined; // cheaper than to parse what has none
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function bytesOf(data) {
  if (ArrayBuffer.isView(data)) return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  return data instanceof ArrayBuffer ? Buffer.from(data) : undefined;
}

function isShard(shard) {
  return Number.isInteger(shard) && shard >= 0 && shard <= 2147483647;
}

module.exports = { gate };
