import { createHash } from 'node:crypto';
import { type Cluster, Redis as Server } from 'ioredis';
import { LivegateError } from '../../domain/errors.js';
import { limitTime } from '../../runtime/limit-time.js';
import type { Log } from '../../telemetry/log.js';
import {
  type ConnectionOptions,
  openGroup,
  type RetryOptions,
  reportOutages,
} from './open-group.js';
import { parseStoreUrl } from './store-url.js';

/** A connection to one server, to the leader behind sentinels, or to a cluster. */
export type Redis = Server | Cluster;

/** The server of a connection, and the connection's name. */
export interface RedisAddress {
  /** See `parseStoreUrl`. */
  url: string;
  /** Names the connection in CLIENT LIST. */
  name: string;
}

/**
 * A connection is opened again when a command on it has no answer for this time: after a firewall or
 * a host has forgotten it, TCP alone would take 15 minutes to notice. Longer than a busy event loop
 * blocks, and than BullMQ's blocking commands (10 s).
 */
const SILENT_MS = { requests: 5000, background: 15_000 };

/**
 * For requests: a command that cannot be sent at once, or is not answered within `timeoutMs`, fails
 * instead of waiting until Redis is reachable.
 */
export function connectForRequests(address: RedisAddress, timeoutMs: number, log: Log): Redis {
  return connect(address, log, {
    limitMs: timeoutMs,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    socketTimeout: Math.max(SILENT_MS.requests, 2 * timeoutMs),
  });
}

/**
 * For blocking reads that return at least every `blockMs`: a connection that is silent for twice as
 * long counts as dead and is opened again.
 */
export function connectForBlocking(address: RedisAddress, blockMs: number, log: Log): Redis {
  return connect(address, log, { maxRetriesPerRequest: null, socketTimeout: 2 * blockMs });
}

/** For background work: commands wait until Redis is reachable. */
export function connectForBackground(address: RedisAddress, log: Log): Redis {
  return connect(address, log, {
    maxRetriesPerRequest: null,
    socketTimeout: SILENT_MS.background,
  });
}

interface CommandOptions extends RetryOptions {
  /** How long a command waits for its answer, in milliseconds. */
  limitMs?: number;
}

function connect(
  { url, name }: RedisAddress,
  log: Log,
  { limitMs, ...retryOptions }: CommandOptions,
): Redis {
  const options: ConnectionOptions = {
    ...retryOptions,
    connectionName: name,
    retryStrategy: (attempt) => Math.min(50 * attempt, 1000),
    // A managed Redis can turn a leader into a replica without closing its connections.
    reconnectOnError: ({ message }) => message.startsWith('READONLY') && RECONNECT_AND_RESEND,
  };
  const address = parseStoreUrl(url);
  const redis =
    address.kind === 'server' ? new Server(url, options) : openGroup(address, options, limitMs);
  if (limitMs !== undefined) limitCommands(redis, limitMs);
  reportOutages(redis, log.child({ connection: name }));
  return redis;
}

/**
 * In place of ioredis's `commandTimeout`, which also fails a command whose answer has arrived but is
 * not read yet, because the event loop is late.
 */
function limitCommands(redis: Redis, limitMs: number): void {
  if ('nodes' in redis) {
    redis.on('+node', (node: Server) => limitCommands(node, limitMs));
    return;
  }
  const send = redis.sendCommand.bind(redis);
  redis.sendCommand = (command, stream) => {
    limitTime(limitMs, command.promise).catch(command.reject);
    return send(command, stream);
  };
}

/** ioredis's code for: reconnect, then send the refused command again. */
const RECONNECT_AND_RESEND = 2;

/** Runs a Lua script with its KEYS and ARGV. */
export type RunScript = (
  redis: Redis,
  keys: string[],
  args: (string | number)[],
) => Promise<unknown>;

/** A script whose text goes over each connection once, and then only its hash. */
export function defineScript(lua: string): RunScript {
  const name = `script-${createHash('sha1').update(lua).digest('hex')}`;
  return (redis, keys, args) => {
    if (!(name in redis)) redis.defineCommand(name, { lua });
    const commands = redis as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
    return commands[name]!(keys.length, ...keys, ...args);
  };
}

/** Runs Redis commands. Every other error becomes a LivegateError `overloaded` or `unavailable`. */
export async function reachRedis<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof LivegateError) throw error;
    const detail = error instanceof Error ? error.message : String(error);
    // Redis refuses writes with "OOM command not allowed …" at maxmemory under `noeviction`.
    const code = detail.includes('OOM') ? 'overloaded' : 'unavailable';
    throw new LivegateError(code, { detail: `redis: ${detail}`, cause: error });
  }
}
