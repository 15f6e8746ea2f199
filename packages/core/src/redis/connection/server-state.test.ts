import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { createKeys } from '../keys.js';
import type { Redis } from './connect.js';
import { listServers, watchSettings } from './server-state.js';

/** A server that reports its settings, unless it is unreachable. */
function createServer(evictionPolicy = 'noeviction', aof = 1) {
  const server = { evictionPolicy, away: false };
  const redis = {
    async eval() {
      if (server.away) throw new Error('away');
      return `maxmemory_policy:${server.evictionPolicy}\r\naof_enabled:${aof}\r\n`;
    },
  } as unknown as Redis;
  return Object.assign(server, { redis });
}

type Server = ReturnType<typeof createServer>;

interface Start {
  queue?: Server;
  images?: Server;
  production?: boolean;
}

async function start({ queue = createServer(), images = queue, production = true }: Start) {
  const lines: string[] = [];
  const log = pino(
    {},
    { write: (line) => void lines.push((JSON.parse(line) as { msg: string }).msg) },
  );
  const servers = listServers(queue.redis, images.redis);
  const keys = createKeys('{test}');
  const settings = watchSettings({ servers, keys, production, waitMs: 2000, log });
  onTestFinished(() => settings.close());
  settings.firstRead.catch(() => undefined);
  await vi.advanceTimersByTimeAsync(2200);
  await settings.firstRead;
  return { settings, lines };
}

const nextLook = () => vi.advanceTimersByTimeAsync(10_000);

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('a Redis that evicts', () => {
  it.each(['allkeys-lru', 'volatile-lru', 'volatile-ttl'])(
    'stops the start in production, with its policy and the command to change it: %s',
    async (policy) => {
      const refusal = new RegExp(`REDIS_URL has maxmemory-policy ${policy}.*CONFIG SET`);
      await expect(start({ queue: createServer(policy) })).rejects.toThrow(refusal);
    },
  );

  it('stops the start in production, also if it stores only the images', async () => {
    const images = createServer('allkeys-lru', 0);
    await expect(start({ images })).rejects.toThrow(/BLOB_REDIS_URL has maxmemory-policy/);
  });

  it('is logged once outside of production', async () => {
    const { settings, lines } = await start({
      queue: createServer('allkeys-lru'),
      production: false,
    });
    await nextLook();
    expect(settings.findProblem()).toBeUndefined();
    expect(lines).toEqual([expect.stringMatching(/maxmemory-policy allkeys-lru/)]);
  });

  it('is a problem in production until its policy is changed back', async () => {
    const queue = createServer();
    const { settings } = await start({ queue });
    expect(settings.findProblem()).toBeUndefined();
    queue.evictionPolicy = 'allkeys-lru';
    await nextLook();
    expect(settings.findProblem()).toMatch(/allkeys-lru/);
    queue.evictionPolicy = 'noeviction';
    await nextLook();
    expect(settings.findProblem()).toBeUndefined();
  });

  it('is a problem once it is reachable, if the start did not wait for it', async () => {
    const queue = createServer('allkeys-lru');
    queue.away = true;
    const { settings } = await start({ queue });
    expect(settings.findProblem()).toBeUndefined();
    queue.away = false;
    await nextLook();
    expect(settings.findProblem()).toMatch(/allkeys-lru/);
  });
});

describe('a Redis without an append-only file', () => {
  it('is logged once and is not a problem, because a managed one may persist in another way', async () => {
    const { settings, lines } = await start({ queue: createServer('noeviction', 0) });
    await nextLook();
    expect(settings.findProblem()).toBeUndefined();
    expect(lines).toEqual([expect.stringMatching(/no append-only file/)]);
  });

  it('is not logged if it stores only images', async () => {
    const { lines } = await start({ images: createServer('noeviction', 0) });
    expect(lines).toEqual([]);
  });
});
