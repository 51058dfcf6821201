'use strict';
// As much of Erlang's external term format as the gateway's payloads are made of.

const VERSION = 131;

/** The term in a message, or undefined if the message is not in this format. */
function decode(data) {
  if (data[0] !== VERSION) return undefined;
  const reader = new Reader(data);
  try {
    return reader.term();
  } catch {
    return undefined;
  }
}

class Reader {
  #data;
  #at = 1;
  #depth = 0;

  constructor(data) {
    this.#data = data;
  }

  term() {
    if (++this.#depth > 64) throw new RangeError('too deep');
    const value = this.#term();
    this.#depth--;
    return value;
  }

  #term() {
    const tag = this.#number(1);
    switch (tag) {
      case 97: return this.#number(1); // SMALL_INTEGER
      case 98: return this.#number(4) | 0; // INTEGER
      case 70: return this.#take(8).readDoubleBE(); // NEW_FLOAT
      case 99: return Number.parseFloat(this.#take(31).toString('latin1')); // FLOAT
      case 110: return this.#big(this.#number(1)); // SMALL_BIG
      case 111: return this.#big(this.#number(4)); // LARGE_BIG
      case 100: case 118: return this.#atom(this.#number(2)); // ATOM, ATOM_UTF8
      case 115: case 119: return this.#atom(this.#number(1)); // SMALL_ATOM, SMALL_ATOM_UTF8
      case 107: return [...this.#take(this.#number(2))]; // STRING: a list of bytes
      case 109: return this.#take(this.#number(4)).toString(); // BINARY
      case 106: return []; // NIL
      case 104: return this.#terms(this.#number(1)); // SMALL_TUPLE
      case 105: return this.#terms(this.#number(4)); // LARGE_TUPLE
      case 108: return this.#terms(this.#number(4) + 1).slice(0, -1); // LIST, with its tail
      case 116: return this.#map(this.#number(4)); // MAP
      default: throw new RangeError(`unknown tag ${tag}`);
    }
  }

  #take(n) {
    if (this.#at + n > this.#data.length) throw new RangeError('cut short');
    return this.#data.subarray(this.#at, (this.#at += n));
  }

  #number(bytes) {
    return this.#take(bytes).readUIntBE(0, bytes);
  }

  #big(bytes) {
    const negative = this.#number(1) === 1;
    const value = this.#take(bytes).reduceRight((sum, byte) => sum * 256n + BigInt(byte), 0n);
    return Number(negative ? -value : value);
  }

  #atom(bytes) {
    const name = this.#take(bytes).toString();
    if (name === 'nil' || name === 'null') return null;
    return name === 'true' || (name === 'false' ? false : name);
  }

  #terms(n) {
    const terms = [];
    while (n-- > 0) terms.push(this.term());
    return terms;
  }

  #map(n) {
    const entries = [];
    while (n-- > 0) entries.push([String(this.term()), this.term()]);
    return Object.fromEntries(entries);
  }
}

/** {"op":1,"d":null} */
const HEARTBEAT = Buffer.concat([
  Buffer.from([VERSION, 116, 0, 0, 0, 2, 109, 0, 0, 0, 2]), Buffer.from('op'), Buffer.from([97, 1]),
  Buffer.from([109, 0, 0, 0, 1]), Buffer.from('d'), Buffer.from([115, 3]), Buffer.from('nil'),
]);

module.exports = { HEARTBEAT, decode };
