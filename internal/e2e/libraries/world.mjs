// Loaded into every bot before it: leads what it sends to Discord to the fake
// Discord at FAKE_DISCORD. Nothing of the bot or its library is changed.

import net from 'node:net';

const port = Number(process.env.FAKE_DISCORD);
// The bot goes through a proxy: this port of it is for those who know no other than 443, and nobody may reach the
// gateway past it.
const proxy = process.env.FAKE_PROXY;
const connect = net.Socket.prototype.connect;

net.Socket.prototype.connect = function (...args) {
  const options = Array.isArray(args[0]) ? args[0][0] : args[0]; // net normalizes them into a list
  // Some libraries know no other port than 443, wherever the gateway says that it is.
  if (proxy !== undefined && options !== null && typeof options === 'object') {
    if (/(^|\.)discord\.gg$/.test(options.host)) throw new Error(`past the proxy: ${options.host}`);
    if (options.host === 'proxy.internal') {
      Object.assign(options, { host: '127.0.0.1', port: Number(proxy) });
      return connect.apply(this, args);
    }
  }
  if (options !== null && typeof options === 'object' && (/(^|\.)discord\.(com|gg)$/.test(options.host) || Number(options.port) === 443)) {
    Object.assign(options, { host: '127.0.0.1', port });
  }
  return connect.apply(this, args);
};

process.on('unhandledRejection', (error) => console.error('unhandled:', error));
