import { type Cluster, Redis as Server } from 'ioredis';
import { LivegateError } from '../../domain/errors.js';
import type { Log } from '../../telemetry/log.js';
import {
  type ConnectionOptions,
  openGroup,
  type RetryOptions,
  reportOutages,
} from './open-group.js';
import { parseStoreUrl } from './store-url.js';

/** A connection to one server, to whoever leads behind sentinels, or to a cluster. */
export type Redis = Server | Cluster;

/** Where a connection goes, and what it is called there. */
export interface RedisAddress {
  /** See `parseStoreUrl`. */
  url: string;
  /** Names the connection in CLIENT LIST. */
  name: string;
}

/**
 * For answering a caller: a command that cannot be sent now, or is not answered within
 * `timeoutMs`, fails at once instead of waiting for Redis to come back.
 */
export function connectForRequests(address: RedisAddress, timeoutMs: number, log: Log): Redis {
  return connect(address, log, {
    commandTimeout: timeoutMs,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
  });
}

/**
 * For blocking reads that answer at least every `blockMs`: a connection that is silent for twice as
 * long is dead, though nobody closed it, and is opened anew.
 */
export function connectForBlocking(address: RedisAddress, blockMs: number, log: Log): Redis {
  return connect(address, log, { maxRetriesPerRequest: null, socketTimeout: 2 * blockMs });
}

/** For background work: commands wait for as long as it takes Redis to come back. */
export function connectForBackground(address: RedisAddress, log: Log): Redis {
  return connect(address, log, { maxRetriesPerRequest: null });
}

function connect({ url, name }: RedisAddress, log: Log, pollOptions: RetryOptions): Redis {
  const options: ConnectionOptions = {
    ...pollOptions,
    connectionName: name,
    retryStrategy: (attempt) => Math.min(50 * attempt, 1000),
    // A server that has become a replica, which a managed Redis does without closing connections.
    reconnectOnError: ({ message }) => message.startsWith('READONLY') && RESEND,
  };
  const address = parseStoreUrl(url);
  const redis = address.kind === 'server' ? new Server(url, options) : openGroup(address, options);
  reportOutages(redis, log.child({ connection: name }));
  return redis;
}

/** ioredis's number for: connect anew, and then send the refused command again. */
const RESEND = 2;

/** Runs Redis commands; whatever goes wrong becomes `overloaded` or `unavailable`. */
export async function reachRedis<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    // Redis refuses writes with "OOM command not allowed …" at maxmemory under `noeviction`.
    const code = detail.includes('OOM') ? 'overloaded' : 'unavailable';
    throw new LivegateError(code, { detail: `redis: ${detail}`, cause: error });
  }
}
