// Is compiled, not run: what a user of TypeScript writes, in CommonJS.

import gatewayqueue = require('gatewayqueue-discord');

export const queue: gatewayqueue.Client = new gatewayqueue.Client();
export const permit: Promise<gatewayqueue.Permit> = queue.acquire(0);
