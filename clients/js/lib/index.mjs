export { Client, GatewayQueueError, PermitLapsed, Refused, UnsupportedLibrary } from './index.js';
