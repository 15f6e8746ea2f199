import { Redis, type RedisOptions } from 'ioredis';
import type { Log } from '../runtime/log.js';

/** A connection, for those who only pass it on. */
export type { Redis };

/** Where a connection goes, and what it is called there. */
export interface RedisAddress {
  /** redis:// or rediss:// */
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

type Options = Pick<
  RedisOptions,
  'commandTimeout' | 'enableOfflineQueue' | 'maxRetriesPerRequest' | 'socketTimeout'
>;

function connect({ url, name }: RedisAddress, log: Log, options: Options): Redis {
  const redis = new Redis(url, {
    ...options,
    connectionName: name,
    retryStrategy: (attempt) => Math.min(50 * attempt, 1000),
  });
  // One line when it goes and one when it is back, not one for each failed attempt.
  let connected = true;
  redis.on('ready', () => {
    if (!connected) log.info({ connection: name }, 'redis is back');
    connected = true;
  });
  redis.on('error', (error) => {
    if (connected) log.warn({ connection: name, err: error }, 'redis is away');
    connected = false;
  });
  return redis;
}
