export {
  Client, GatewayQueueError, PermitLapsed, Refused, UnsupportedLibrary, cloudstorm, detritus, gate, identifyThrottler,
} from './index.js';
