'use strict';
// The client of /v1: waits for permits, renews them, and reports them.
//
// docs/http.md is the contract. Whatever is sent has a bound, and whatever an answer
// says of time counts from when its request was sent.

const { randomUUID } = require('node:crypto');
const { debuglog } = require('node:util');
const { Moment } = require('./clock.js');
const { GatewayQueueError, PermitLapsed, Refused } = require('./errors.js');
const { settings } = require('./settings.js');
const { sleep } = require('./sleep.js');
const { Foreign, Gone, NotFound, Passing, Wire, pause } = require('./wire.js');

const debug = debuglog('gatewayqueue');

// All in ms.
const POLL_GRACE = 5000; // no answer within that: the connection is dead
const LEAVE = 5000; // how long it is listened, after a caller has left, for whether it had been granted
const RENEWAL = 2000; // the longest that one renewal may take
const REPORT = 2000; // the longest that one report may take
const REPORTS = 15_000; // for how long a report is repeated: then its permit's lease and window are over
const LONGEST = 600_000; // of one request that waits
const SEND = 250; // what IDENTIFY may take from this process to the wire, at most a quarter of the lease

/** The queue behind one or more servers. */
class Client {
  #work = new Set(); // requests in the background
  #closing = new AbortController();

  /** No I/O. Throws for a setting that is wrong. */
  constructor(options) {
    const { servers, token, maxWait, warn } = settings(options);
    this._wire = new Wire({ servers, token });
    this._maxWait = maxWait;
    this._warn = warn;
    this._known = false; // a server has answered
  }

  /** Ends its waits, and waits for reports that are on their way, 2 s at most. Permits that are out lapse within 5 s. */
  async close() {
    this.#closing.abort(new GatewayQueueError('the client is closed'));
    const bound = new AbortController();
    await Promise.race([Promise.all(this.#work), sleep(2000, bound.signal).catch(() => {})]);
    bound.abort();
  }

  /**
   * Waits until the shard may identify, however long that takes. If no server answers,
   * it asks again; Refused if one refuses. A caller whose signal aborts leaves the line.
   */
  async acquire(shard, { signal } = {}) {
    if (!Number.isInteger(shard) || shard < 0 || shard > 2147483647) {
      throw new RangeError(`shard: ${String(shard)}: want an integer, 0 to 2147483647`);
    }
    return new Wait(this, shard).permit(signal);
  }

  get _closed() {
    return this.#closing.signal;
  }

  /** Work that close waits for. It never rejects. */
  _run(work) {
    this.#work.add(work);
    work.finally(() => this.#work.delete(work));
    return work;
  }
}

/**
 * One wait. It may be asked again after its permit has lapsed: that is the same wait,
 * which is paid once.
 */
class Wait {
  #client;
  #wire;
  #shard;
  #maxWait;
  #key; // this wait's name
  #ticket; // its place

  constructor(client, shard) {
    this.#client = client;
    this.#wire = client._wire;
    this.#shard = shard;
    this.#maxWait = client._maxWait;
    this.#startOver();
  }

  #startOver() {
    this.#key = randomUUID();
    this.#ticket = undefined;
  }

  /** Rejects with the reason of the caller's signal, or of the client that is closed. */
  async permit(signal) {
    const ended = new AbortController();
    const sources = signal === undefined ? [this.#client._closed] : [signal, this.#client._closed];
    const end = ({ target }) => ended.abort(target.reason);
    for (const source of sources) {
      if (source.aborted) throw source.reason;
      source.addEventListener('abort', end);
    }
    try {
      return await this.#permit(ended.signal);
    } finally {
      for (const source of sources) source.removeEventListener('abort', end);
    }
  }

  async #permit(signal) {
    for (let failures = 0; ; ) {
      signal.throwIfAborted();
      const [sent, server] = [new Moment(), this.#wire.server];
      let permit;
      try {
        permit = this.#accept(await this.#poll(server, signal), sent);
      } catch (error) {
        signal.throwIfAborted();
        failures += 1;
        await sleep(this.#pauseAfter(error, failures, server), signal);
        continue;
      }
      this.#client._known = true;
      failures = 0;
      if (permit === undefined) {
        if (sent.since() < 50) await sleep(50, signal); // a server that does not wait
        continue;
      }
      try {
        // How old an answer is that was long on its way, nobody knows.
        if (sent.since() >= permit._good / 2) await permit.renew();
      } catch (error) {
        if (error instanceof PermitLapsed) continue; // too late for it: once more, by the same key
        throw error;
      }
      if (signal.aborted) {
        permit.abandon();
        throw signal.reason;
      }
      if (permit.left() <= 0) continue;
      permit._keep();
      return permit;
    }
  }

  /** How long to pause after a poll that failed; throws what asking again does not help. */
  #pauseAfter(error, failures, server) {
    if (error instanceof Gone) { // the key's permit was settled
      debug('shard %d: %s: starting over', this.#shard, error.message);
      this.#startOver();
      return pause(failures, 1, 0);
    }
    if (error instanceof NotFound) throw new Refused(error.message, { status: 404, type: 'not-found' });
    if (!(error instanceof Passing)) throw error;
    if (error instanceof Foreign && !this.#client._known) throw new Refused(error.message, { status: error.status });
    this.#ticket = error.ticket ?? this.#ticket;
    this.#wire.next(server);
    const ms = pause(failures, this.#wire.servers.length, error.retryAfter);
    const text = `shard ${this.#shard} waits for its turn: ${error.message}: asking again in ${Math.ceil(ms)} ms`;
    if (failures % 10 === 1) this.#client._warn(text);
    else debug('%s', text);
    return ms;
  }

  /** Sends one poll. If the caller leaves, the server is told so, and a grant that was on its way goes back. */
  async #poll(server, signal) {
    const body = { shard: this.#shard, key: this.#key, max_wait_ms: this.#maxWait };
    if (this.#ticket !== undefined) body.ticket = this.#ticket;
    else body.early_ticket = true;
    const [sent, hangUp] = [new Moment(), new AbortController()];
    const poll = this.#wire.send(server, 'POST', '/v1/permits', body, this.#maxWait + POLL_GRACE, hangUp.signal);
    let leave;
    const left = new Promise((_, reject) => {
      leave = () => {
        reject(signal.reason);
        this.#client._run(this.#leave(server, poll, hangUp, sent));
      };
      signal.addEventListener('abort', leave);
    });
    try {
      return await Promise.race([poll, left]);
    } finally {
      signal.removeEventListener('abort', leave);
    }
  }

  async #leave(server, poll, hangUp, sent) {
    const timer = setTimeout(() => hangUp.abort(), LEAVE); // hanging up leaves the line, too
    const told = this.#tellThatItLeaves(server, hangUp.signal);
    try {
      await this.#accept(await poll, sent)?.abandon();
    } catch (error) {
      debug('shard %d has left: %s', this.#shard, error.message);
    }
    clearTimeout(timer);
    hangUp.abort();
    await told;
  }

  async #tellThatItLeaves(server, signal) {
    for (let n = 1; n < 20 && !signal.aborted; n++) {
      try {
        await this.#wire.send(server, 'DELETE', `/v1/waits/${this.#key}`, undefined, LEAVE, signal);
        return;
      } catch (error) {
        if (!(error instanceof NotFound)) return;
      }
      // The poll may be on its way, or behind a balancer another server's.
      await sleep(10 * n, signal).catch(() => {});
    }
  }

  /**
   * The permit, or undefined if the wait goes on. Only what is an answer to this request
   * to the letter is a grant.
   */
  #accept(answer, sent) {
    if (answer.shard === this.#shard) {
      if (answer.waiting === true) {
        if (typeof answer.ticket === 'string' && answer.ticket) this.#ticket = answer.ticket;
        if (answer.keeps_place === false) this.#maxWait = LONGEST; // leave the line as seldom as possible
        return undefined;
      }
      if (isID(answer.id) && isDuration(answer.good_for_ms)) {
        return new Permit(this.#client, answer.id, this.#shard, answer.good_for_ms, sent);
      }
    }
    throw new Foreign("the answer is not that of gatewayqueue's /v1");
  }
}

/**
 * The right to send one IDENTIFY, renewed until it is reported.
 *
 * Ask left() right before IDENTIFY; then call identified(), or abandon() if none was
 * sent. Without either, the bucket stays closed until the permit has lapsed.
 */
class Permit {
  #client;
  #wire;
  #id;
  #path;
  #sent; // when the last request was sent that was answered
  #over = false; // the server renews it no more
  #reported; // the report, once there is one
  #keeping = new AbortController();

  constructor(client, id, shard, good, sent) {
    this.shard = shard;
    this._good = good; // ms, from #sent
    this.#client = client;
    this.#wire = client._wire;
    this.#id = id;
    this.#path = `/v1/permits/${id}`;
    this.#sent = sent;
  }

  /** For how many ms IDENTIFY may be sent yet; 0 or less: not any more. */
  left() {
    if (this.#over || this.#reported !== undefined) return 0;
    return this._good - this.#sent.since() - Math.min(SEND, this._good / 4);
  }

  /**
   * Renews the permit, at whichever server answers, while that can help. Rejects with
   * PermitLapsed if it has ended, or may have.
   */
  async renew() {
    const [began, bound] = [new Moment(), this._good];
    for (let failures = 0; began.since() < bound; ) {
      const [sent, server] = [new Moment(), this.#wire.server];
      try {
        const answer = await this.#wire.send(server, 'PUT', this.#path, undefined, RENEWAL);
        if (answer.id !== this.#id || !isDuration(answer.good_for_ms)) {
          throw new Foreign("the answer is not that of gatewayqueue's /v1");
        }
        this._good = answer.good_for_ms;
        this.#sent = sent;
        if (this.left() > 0) return;
        break;
      } catch (error) {
        if (!(error instanceof Passing)) {
          this.#over = true;
          throw new PermitLapsed(`shard ${this.shard}: ${error.message}`);
        }
        failures += 1;
        this.#wire.next(server);
        debug('shard %d: renewal: %s', this.shard, error.message);
        await sleep(Math.min(500, pause(failures, this.#wire.servers.length, 0)));
      }
    }
    throw new PermitLapsed(`shard ${this.shard}: no server has renewed the permit in time`);
  }

  /**
   * Reports that IDENTIFY was sent, or leaves within so many ms. It is repeated in the
   * background until a server knows it, for 15 s; the promise never rejects, and need
   * not be waited for.
   */
  identified({ withinMs } = {}) {
    if (withinMs !== undefined && !(typeof withinMs === 'number' && withinMs >= 0 && withinMs <= 60_000)) {
      throw new RangeError(`withinMs: ${String(withinMs)}: want 0 to 60000 (milliseconds)`);
    }
    const body = withinMs ? { within_ms: Math.ceil(withinMs) } : undefined;
    return this.#report('POST', `${this.#path}/identified`, body);
  }

  /** Reports that none was or will be sent: the slot and the unit go back. As identified otherwise. */
  abandon() {
    return this.#report('DELETE', this.#path);
  }

  #report(method, path, body) {
    this.#keeping.abort();
    this.#reported ??= this.#client._run(this.#tell(method, path, body));
    return this.#reported;
  }

  async #tell(method, path, body) {
    const began = new Moment();
    for (let failures = 0; began.since() < REPORTS; ) {
      const server = this.#wire.server;
      try {
        await this.#wire.send(server, method, path, body, REPORT);
        return;
      } catch (error) {
        if (error instanceof Gone || error instanceof NotFound) return; // it was told before, or has lapsed
        if (!(error instanceof Passing)) return this.#client._warn(`shard ${this.shard}: report: ${error.message}`);
        failures += 1;
        this.#wire.next(server);
        debug('shard %d: report: %s', this.shard, error.message);
      }
      await sleep(Math.min(1000, pause(failures, this.#wire.servers.length, 0)));
    }
    this.#client._warn(`shard ${this.shard}: no server was told what became of its permit: it lapses`);
  }

  /** Renews it until it is reported, has ended, or the client is closed. A process may end meanwhile. */
  async _keep() {
    try {
      while (!this.#client._closed.aborted) {
        await sleep(Math.max(20, this.left() / 2), this.#keeping.signal, { ref: false });
        await this.renew();
      }
    } catch (error) {
      debug('%s', error.message);
    }
  }
}

function isID(id) {
  return typeof id === 'string' && /^[\w-]+$/.test(id);
}

function isDuration(ms) {
  return Number.isInteger(ms) && ms >= 0 && ms <= 3_600_000;
}

module.exports = { Client, Permit, Wait };
