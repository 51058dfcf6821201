'use strict';
// node --import gatewayqueue-discord/gate bot.js: a gate in every copy of ws that the
// bot loads, in seyfert's own class, and in node's WebSocket. Settings are in the environment.

const Module = require('node:module');
const { Client } = require('./client.js');
const { gate } = require('./gate.js');

/** Modules that have a class of WebSockets, and where they have it. */
const MODULES = [
  [/[\\/]ws[\\/]lib[\\/]websocket\.js$/, (exports) => exports],
  [/[\\/]seyfert[\\/]lib[\\/]websocket[\\/]discord[\\/]socket[\\/]custom\.js$/, (exports) => exports.SeyfertWebSocket],
];

const client = new Client(); // a setting that is wrong ends the process here

function gateIn({ filename, exports }) {
  for (const [file, classOf] of MODULES) {
    if (file.test(filename)) gate(classOf(exports), client);
  }
}

for (const module of Object.values(require.cache)) {
  if (module.loaded) gateIn(module);
}
const load = Module._extensions['.js']; // import of CommonJS comes here, too
Module._extensions['.js'] = function (module, filename) {
  load.call(this, module, filename);
  gateIn(module);
};
if (globalThis.WebSocket !== undefined) gate(globalThis.WebSocket, client);
