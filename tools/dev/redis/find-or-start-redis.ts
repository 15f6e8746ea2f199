import { once } from 'node:events';
import { connect } from 'node:net';
import { parseStoreUrl, type StoreHost } from '@livegate/core';
import { pingRedis } from './ask-redis.js';
import type { Redis, RedisOptions } from './start-own-redis.js';
import { startOwnRedis } from './start-own-redis.js';

const defaultPort = 6379;
const connectWithinMs = 5000;

export interface FindOptions extends RedisOptions {
  /** REDIS_URL: used and nothing else, if it is set. */
  url?: string | undefined;
  /** Where a Redis of this machine is looked for. */
  wellKnownPort?: number;
}

/** The Redis that is configured; else one that already runs here; else a child of ours. */
export async function findOrStartRedis(options: FindOptions): Promise<Redis> {
  const { url, wellKnownPort = defaultPort } = options;
  if (url) return { url: await requireReachable(url), stop: leaveRunning };
  if (await pingRedis(wellKnownPort)) {
    return { url: `redis://127.0.0.1:${wellKnownPort}`, stop: leaveRunning };
  }
  return await startOwnRedis(options);
}

/** Of several, one that answers knows the others. */
async function requireReachable(url: string): Promise<string> {
  const { hosts } = parseStoreUrl(url);
  try {
    await Promise.any(hosts.map(requireConnection));
    return url;
  } catch (error) {
    const places = hosts.map(({ host, port }) => `${host}:${port}`).join(' or ');
    throw new Error(`nothing answers at ${places}: start that Redis, or unset REDIS_URL`, {
      cause: error,
    });
  }
}

async function requireConnection(place: StoreHost): Promise<void> {
  const socket = connect(place);
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(connectWithinMs) });
  } finally {
    socket.destroy();
  }
}

async function leaveRunning(): Promise<void> {
  // Who started it stops it.
}
