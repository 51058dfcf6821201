'use strict';
// What can go wrong, for callers.

/** The base of all errors of this package. */
class GatewayQueueError extends Error {
  get name() {
    return this.constructor.name;
  }
}

/** The server, or something in its place, refuses; asking again does not help. */
class Refused extends GatewayQueueError {
  constructor(text, { status, type = '' }) {
    super(text);
    this.status = status; // of HTTP; undefined where the answer was no error, and none of the server's
    this.type = type; // such as "unauthorized" (docs/http.md); empty if the answer is not the server's
  }
}

/** The permit has ended, or may have: IDENTIFY must not be sent under it. */
class PermitLapsed extends GatewayQueueError {}

/** The library is not one that this package can be switched on in. */
class UnsupportedLibrary extends GatewayQueueError {}

module.exports = { GatewayQueueError, PermitLapsed, Refused, UnsupportedLibrary };
