'use strict';
// How long something is ago, by whichever clock says the most.

/**
 * A point in time. Each clock misses something: the monotonic one a suspended
 * machine, wall time a step backwards. What one has missed the other knows.
 */
class Moment {
  #monotonic = performance.now();
  #wall = Date.now();

  /** Milliseconds that have passed at most. */
  since() {
    return Math.max(performance.now() - this.#monotonic, Date.now() - this.#wall);
  }
}

module.exports = { Moment };
