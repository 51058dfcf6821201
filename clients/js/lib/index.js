'use strict';

const { Client } = require('./client.js');
const { GatewayQueueError, PermitLapsed, Refused, UnsupportedLibrary } = require('./errors.js');

module.exports = { Client, GatewayQueueError, PermitLapsed, Refused, UnsupportedLibrary };
