'use strict';
// One request to one of the servers, and what its answer means.

const http = require('node:http');
const https = require('node:https');
const { Refused } = require('./errors.js');

const PROBLEM = 'urn:gatewayqueue:problem:';
const LARGEST = 1 << 16; // bytes of an answer; the largest of ours has a few hundred
const CONNECT = 5000; // ms for a connection, of whatever time a request has
const PASSING = new Set([408, 425, 500, 502, 503, 504]); // statuses that are asked again

/** There was no answer, or one that passes: ask again, another server first. */
class Passing extends Error {
  constructor(text, { retryAfter = 0, ticket } = {}) {
    super(text);
    this.retryAfter = retryAfter; // ms
    this.ticket = ticket;
  }
}

/** Something else answers at the server's address. */
class Foreign extends Passing {
  status; // of HTTP; undefined where the answer was no error
}

/** 410: the permit, or the key's, has ended. */
class Gone extends Error {}

/** 404 of the server itself. */
class NotFound extends Error {}

/** Sends requests to the server whose turn it is. */
class Wire {
  #token;
  #at;

  constructor({ servers, token }) {
    this.servers = servers;
    this.#token = token;
    this.#at = Math.floor(Math.random() * servers.length);
  }

  /** The server that is asked now. */
  get server() {
    return this.servers[this.#at];
  }

  /** Asks another one from now on, unless that has happened meanwhile. */
  next(after) {
    if (after === this.server) this.#at = (this.#at + 1) % this.servers.length;
  }

  /**
   * Sends a request and returns the answer's JSON, empty for 204. It takes no
   * longer than `within` ms; `signal` hangs up.
   */
  async send(server, method, path, body, within, signal) {
    const headers = {};
    let data;
    if (this.#token !== undefined) headers.Authorization = `Bearer ${this.#token}`;
    if (body !== undefined) {
      data = Buffer.from(JSON.stringify(body));
      headers['Content-Type'] = 'application/json';
      headers['Content-Length'] = data.length;
    }
    return read(await exchange(server + path, { method, headers }, data, within, signal));
  }
}

function exchange(url, options, data, within, signal) {
  return new Promise((resolve, reject) => {
    // A connection for each request (agent: false): none that was idle is ever found
    // dead while a permit runs out. Requests are few: one a minute and shard.
    const request = (url.startsWith('https:') ? https : http).request(url, { ...options, agent: false });
    const timers = [];
    const hangUp = () => end(reject, new Passing('hung up'));
    const end = (settle, value) => {
      timers.forEach(clearTimeout);
      signal?.removeEventListener('abort', hangUp);
      request.destroy();
      settle(value);
    };
    const late = (ms) => () => end(reject, new Passing(`no answer within ${ms} ms`));
    timers.push(setTimeout(late(within), within));
    if (within > CONNECT) timers.push(setTimeout(late(CONNECT), CONNECT));
    const connected = () => clearTimeout(timers[1]);
    request.on('socket', (socket) => socket.on(url.startsWith('https:') ? 'secureConnect' : 'connect', connected));
    // An error's text may name the address, so only its code is told.
    const failed = (error) => end(reject, new Passing(`no answer (${error?.code ?? 'the connection has ended'})`));
    request.on('error', failed);
    request.on('response', (response) => {
      const parts = [];
      let size = 0;
      response.on('data', (part) => {
        parts.push(part);
        size += part.length;
        if (size > LARGEST) end(reject, foreign(response));
      });
      response.on('end', () => end(resolve, { response, text: Buffer.concat(parts).toString() }));
      response.on('error', failed);
      response.on('close', () => failed());
    });
    signal?.addEventListener('abort', hangUp);
    if (signal?.aborted) hangUp();
    else request.end(data);
  });
}

function read({ response, text }) {
  const status = response.statusCode;
  if (status === 204) return {};
  let body;
  try {
    body = JSON.parse(text);
  } catch {
    // reported below
  }
  if (body === null || typeof body !== 'object' || Array.isArray(body)) throw foreign(response);
  if (status === 200 || status === 201 || status === 202) return body;
  const type = String(body.type ?? '');
  const media = String(response.headers['content-type'] ?? '').split(';')[0].trim().toLowerCase();
  if (!type.startsWith(PROBLEM) || media !== 'application/problem+json') throw foreign(response);
  const kind = type.slice(PROBLEM.length);
  const said = `the server answers ${status} ${kind}: ${body.detail ?? ''}`;
  if (status === 410) throw new Gone(`the permit has ended (${body.reason ?? 'unknown'})`);
  if (kind === 'not-found') throw new NotFound(said);
  if (PASSING.has(status) || kind === 'left' || kind === 'exhausted') {
    const ticket = typeof body.ticket === 'string' && body.ticket ? body.ticket : undefined;
    throw new Passing(said, { retryAfter: retryAfter(response), ticket });
  }
  throw new Refused(said, { status, type: kind });
}

function foreign(response) {
  const by = response.headers.server ?? response.headers.via;
  const error = new Foreign(
    `not gatewayqueue's /v1 but something at its address or before it answers ${response.statusCode}` +
      (by ? ` (it calls itself ${JSON.stringify(by.slice(0, 60))})` : ''),
    { retryAfter: retryAfter(response) },
  );
  error.status = response.statusCode;
  return error;
}

function retryAfter(response) {
  const text = response.headers['retry-after'] ?? '';
  return /^\d{1,9}$/.test(text) ? Math.min(Number(text), 60) * 1000 : 0;
}

/**
 * Ms until the next try: another server is asked at once; after a round of all of
 * them the pause grows, to 5 s and a little, or is what they ask for.
 */
function pause(failures, servers, retryAfter) {
  if (failures % servers) return 50 * Math.random();
  const backoff = Math.min(5000, 100 * 2 ** Math.min(failures / servers - 1, 10));
  return Math.max(backoff, retryAfter) * (1 + 0.5 * Math.random());
}

module.exports = { Foreign, Gone, NotFound, Passing, Wire, pause };
