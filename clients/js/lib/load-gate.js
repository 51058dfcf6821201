'use strict';
// node --import gatewayqueue-discord/gate bot.js: a gate in every copy of ws that the
// bot loads, and in node's own WebSocket. Settings are in the environment.

const Module = require('node:module');
const { Client } = require('./client.js');
const { gate } = require('./gate.js');

const WS = /[\\/]ws[\\/]lib[\\/]websocket\.js$/;

const client = new Client(); // a setting that is wrong ends the process here

for (const module of Object.values(require.cache)) {
  if (WS.test(module.filename) && module.loaded) gate(module.exports, client);
}
const load = Module._extensions['.js']; // import of CommonJS comes here, too
Module._extensions['.js'] = function (module, filename) {
  load.call(this, module, filename);
  if (WS.test(filename)) gate(module.exports, client);
};
if (globalThis.WebSocket !== undefined) gate(globalThis.WebSocket, client);
