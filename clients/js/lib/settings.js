'use strict';
// The settings, by option or by environment variable.

const { readFileSync } = require('node:fs');

const DEFAULT_URL = 'http://127.0.0.1:8080';
const OPTIONS = ['url', 'token', 'maxWaitMs', 'warn'];

/** Checks options, and reads from the environment what they leave out. */
function settings(options = {}) {
  if (options === null || typeof options !== 'object') {
    throw new TypeError(`options: ${String(options)}: want an object`);
  }
  for (const name of Object.keys(options)) {
    if (!OPTIONS.includes(name)) throw new RangeError(`options: ${name} is unknown: want ${OPTIONS.join(', ')}`);
  }
  const { maxWaitMs = 50_000, warn = (text) => console.warn(`gatewayqueue: ${text}`) } = options;
  if (typeof maxWaitMs !== 'number' || !(maxWaitMs >= 1000 && maxWaitMs <= 600_000)) {
    throw new RangeError(`maxWaitMs: ${String(maxWaitMs)}: want 1000 to 600000 (milliseconds)`);
  }
  if (typeof warn !== 'function') throw new TypeError('warn: is no function: want one that takes a text');
  return { servers: servers(options.url), token: bearer(options.token), maxWait: Math.floor(maxWaitMs), warn };
}

function servers(url) {
  const text = url ?? environment('GATEWAYQUEUE_URL') ?? DEFAULT_URL;
  if (typeof text !== 'string') throw new TypeError(`url: want a text such as ${DEFAULT_URL}`);
  return text.split(',').map((one, at) => {
    const address = one.trim().replace(/\/+$/, '');
    let parts;
    try {
      parts = new URL(address);
    } catch {
      // reported below
    }
    // The address is not repeated, because it may hold a password.
    if (!/^https?:\/\//i.test(address) || !parts?.hostname || parts.port === '0' || /[?#\s]/.test(address)) {
      throw new RangeError(`url: number ${at + 1} is no server's address: want one such as ${DEFAULT_URL}`);
    }
    if (parts.username || parts.password) {
      throw new RangeError(`url: number ${at + 1} has a user or a password: want the server's token in token`);
    }
    return address;
  });
}

function bearer(token) {
  if (token === undefined) {
    const [value, file] = [environment('GATEWAYQUEUE_AUTH_TOKEN'), environment('GATEWAYQUEUE_AUTH_TOKEN_FILE')];
    if (file !== undefined) token = tokenOf(file);
    else token = value;
  }
  if (token === undefined) return undefined;
  if (typeof token !== 'string' || !/^[!-~]+$/.test(token)) {
    throw new RangeError("token: is empty, or has blanks or other than ASCII: want the server's token");
  }
  return token;
}

function tokenOf(file) {
  let text;
  try {
    text = readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new RangeError(`GATEWAYQUEUE_AUTH_TOKEN_FILE: ${file} cannot be read (${error.code})`);
  }
  if (!text) throw new RangeError(`GATEWAYQUEUE_AUTH_TOKEN_FILE: ${file} is empty: want the server's token`);
  return text;
}

function environment(name) {
  const value = process.env[name]?.trim();
  if (value === '') throw new RangeError(`${name}: is set but empty: want a value, or unset it`);
  return value;
}

module.exports = { settings };
