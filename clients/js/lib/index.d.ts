/** The options of a client. What is left out is read from the environment. */
export interface Options {
  /**
   * The server's address, such as `http://queue:8080`; several, of one Redis, are
   * separated by commas. `GATEWAYQUEUE_URL`; by default `http://127.0.0.1:8080`.
   */
  url?: string;
  /** The server's `--auth-token`, if it has one. `GATEWAYQUEUE_AUTH_TOKEN`, or `GATEWAYQUEUE_AUTH_TOKEN_FILE`. */
  token?: string;
  /** How long one request waits at the server before it is sent again: 1000 to 600000 ms, by default 50000. It does not bound the wait. */
  maxWaitMs?: number;
  /** Is told what somebody should know, such as that no server answers; by default console.warn. NODE_DEBUG=gatewayqueue shows the rest. */
  warn?: (text: string) => void;
}

/** The queue behind one or more servers. */
export class Client {
  /** No I/O. Throws a RangeError or TypeError for an option or environment variable that is wrong. */
  constructor(options?: Options);
  /**
   * Waits until the shard (0 to 2147483647) may identify, however long that takes. If no
   * server answers, it asks again; it rejects with Refused if one refuses, and with the
   * signal's reason if that aborts: then the shard leaves the line.
   */
  acquire(shard: number, options?: { signal?: AbortSignal }): Promise<Permit>;
  /** Ends its waits, and waits for reports that are on their way, 2 s at most. Permits that are out lapse within 5 s. */
  close(): Promise<void>;
}

/**
 * The right to send one IDENTIFY, renewed until it is reported.
 *
 * Ask left() right before IDENTIFY; then call identified(), or abandon() if none was
 * sent. Without either, the bucket stays closed until the permit has lapsed.
 */
export interface Permit {
  readonly shard: number;
  /** For how many ms IDENTIFY may be sent yet; 0 or less: not any more. */
  left(): number;
  /** Renews it now. Rejects with PermitLapsed if it has ended, or may have. */
  renew(): Promise<void>;
  /**
   * Reports that IDENTIFY was sent, or leaves within `withinMs` (0 to 60000). It is
   * repeated in the background until a server knows it, for 15 s; the promise never
   * rejects, and need not be waited for.
   */
  identified(options?: { withinMs?: number }): Promise<void>;
  /** Reports that none was or will be sent: slot and unit go back. As identified otherwise. */
  abandon(): Promise<void>;
}

/** The base of all errors of this package. */
export class GatewayQueueError extends Error {}

/** The server, or something in its place, refuses; asking again does not help. */
export class Refused extends GatewayQueueError {
  /** Of HTTP; undefined where the answer was no error, and none of the server's. */
  readonly status: number | undefined;
  /** Such as "unauthorized"; empty if the answer is not the server's. */
  readonly type: string;
}

/** The permit has ended, or may have: IDENTIFY must not be sent under it. */
export class PermitLapsed extends GatewayQueueError {}

/** The library is not one that this package can be switched on in. */
export class UnsupportedLibrary extends GatewayQueueError {}

/**
 * The identify throttler of @discordjs/ws: `buildIdentifyThrottler: () => identifyThrottler(client)`.
 * It rejects only if the shard's connection closes; a refusal is told to `warn` and asked again.
 * Shards in worker threads need `withinMs` (0 to 2000, by default 0): how long after
 * the grant their IDENTIFY may leave, such as 250.
 */
export function identifyThrottler(client: Client, options?: { withinMs?: number }): {
  waitForIdentify(shardId: number, signal: AbortSignal): Promise<void>;
};

/**
 * Holds every IDENTIFY that is sent by this class (`WebSocket` of `ws`, or node's own)
 * until its turn, and sends heartbeats meanwhile. `node --import gatewayqueue-discord/gate`
 * does it for all of a program's. A second call for one class does nothing.
 */
export function gate(WebSocket: { readonly prototype: object }, client: Client): void;

/** Makes the shards of a cloudstorm client wait for their turn. Call it before connect(). */
export function cloudstorm(bot: object, client: Client): void;

/** Makes a Gateway.Socket of detritus-client-socket wait for its turn. Call it before connect(). */
export function detritus(socket: object, client: Client): void;
