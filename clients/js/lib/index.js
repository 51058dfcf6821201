'use strict';

const { Client } = require('./client.js');
const { identifyThrottler } = require('./discordjs.js');
const { GatewayQueueError, PermitLapsed, Refused, UnsupportedLibrary } = require('./errors.js');
const { gate } = require('./gate.js');
const { cloudstorm, detritus } = require('./hooks.js');

module.exports = { Client, GatewayQueueError, PermitLapsed, Refused, UnsupportedLibrary, cloudstorm, detritus, gate, identifyThrottler };
