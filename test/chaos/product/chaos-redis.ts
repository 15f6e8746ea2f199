import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { connectForBackground, type Redis } from '@livegate/core/redis';
import { createOwnRedis } from '@livegate/testing/redis/own-redis';
import { startRedisCluster } from '@livegate/testing/redis/redis-cluster';
import { startRedisSentinels } from '@livegate/testing/redis/redis-sentinels';
import { silentLog } from '@livegate/testing/redis/sandbox';
import { Redis as Server } from 'ioredis';

const run = promisify(execFile);
const DISK_BYTES = 64 * 1024 * 1024;
const PREFIX = '{chaos}';

/** The Redis of one product, as the count of keys needs it. */
export interface ChaosRedis {
  prefix: string;
  /** The port to which links lead. */
  port: number;
  /** The URL for a process whose link has this port. */
  urlThrough(port: number): string;
  /** Reaches the present leader without a link. */
  client: Redis;
  stop(): Promise<void>;
}

/** A single server with an append-only file, on a small disk where this user may mount one. */
export async function startSingleRedis() {
  const disk = await mountDisk();
  const server = await createOwnRedis(disk ? { dir: disk.folder } : {});
  const port = Number(new URL(server.url).port);
  const client = new Server(port, '127.0.0.1');
  client.on('error', () => undefined);
  return {
    server,
    disk,
    prefix: PREFIX,
    port,
    urlThrough: (linkPort: number) => `redis://127.0.0.1:${linkPort}`,
    client,
    async stop() {
      client.disconnect();
      await server.remove();
      await disk?.unmount();
    },
  } satisfies ChaosRedis & { server: unknown; disk: unknown };
}

export type SingleRedis = Awaited<ReturnType<typeof startSingleRedis>>;

/** `undefined` where mounting is not allowed. */
async function mountDisk() {
  const folder = await mkdtemp(join(tmpdir(), 'livegate-disk-'));
  const filler = join(folder, 'filler');
  try {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${DISK_BYTES}`, 'tmpfs', folder]);
  } catch {
    await rm(folder, { recursive: true });
    return undefined;
  }
  return {
    folder,
    /** Writes until nothing more fits. */
    async fill() {
      await writeFile(filler, Buffer.alloc(DISK_BYTES)).catch(() => undefined);
    },
    empty: () => rm(filler, { force: true }),
    async unmount() {
      await run('umount', [folder]);
      await rm(folder, { recursive: true });
    },
  };
}

const groups = {
  sentinels: startRedisSentinels,
  cluster: () => startRedisCluster({ keyToReplicate: PREFIX }),
};

/** Several servers, whose leader can be killed. */
export async function startRedisGroup(kind: keyof typeof groups) {
  const { url, leader, stop } = await groups[kind]();
  const client = connectForBackground({ url, name: 'chaos' }, silentLog);
  return {
    prefix: PREFIX,
    // No link leads there: a client follows the addresses that the group tells it.
    port: Number(leader.client.options.port),
    urlThrough: () => url,
    client,
    killLeader: () => leader.server.stop('SIGKILL'),
    async stop() {
      client.disconnect();
      await stop();
    },
  } satisfies ChaosRedis & { killLeader: unknown };
}
