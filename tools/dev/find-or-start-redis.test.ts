import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import type { Server } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis as Client } from 'ioredis';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { describeMachine, findProgram, type Machine } from './install-program.js';
import { findFreePort } from './ports.js';
import { guardGroup, isProcessAlive } from './processes.js';
import { findRedisPid, pingRedis } from './redis-server.js';
import {
  findRedis,
  type FindOptions,
  type Redis,
  type RedisOptions,
  startOwnRedis,
} from './find-or-start-redis.js';

let dataDir: string;
let wellKnownPort: number;
let said: string[];
let cleanups: (() => unknown)[];

const say = (line: string) => said.push(line);

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'livegate-redis-test-'));
  wellKnownPort = await findFreePort();
  said = [];
  cleanups = [() => rm(dataDir, { recursive: true })];
});

afterEach(async () => {
  for (const cleanUp of cleanups.toReversed()) await cleanUp();
});

async function start() {
  const redis = await startOwnRedis({ dataDir, say });
  await guard(redis);
  cleanups.push(() => redis.stop());
  return redis;
}

/** Stops the server also when Vitest is killed, as it is in its own process group. */
async function guard({ url }: Redis): Promise<void> {
  cleanups.push(guardGroup((await findRedisPid(portOf(url)))!, dataDir));
}

async function call<T>(url: string, command: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client(url);
  try {
    return await command(client);
  } finally {
    client.disconnect();
  }
}

const portOf = (url: string) => Number(new URL(url).port);

/** As `npm start` does. */
async function findOrStartRedis(options: FindOptions & RedisOptions): Promise<Redis> {
  const found = await findRedis(options);
  const redis = found ?? (await startOwnRedis(options));
  if (!found) await guard(redis);
  return redis;
}

describe('findRedis and startOwnRedis', () => {
  test('uses the Redis at REDIS_URL and leaves it running', async () => {
    const { url } = await start();
    const found = await findOrStartRedis({ dataDir, say, url, wellKnownPort });
    await found.stop();
    expect(found.url).toBe(url);
    expect(await pingRedis(portOf(url))).toBe(true);
  });

  test('uses the Redis at the well-known port and leaves it running', async () => {
    const { url } = await start();
    const found = await findOrStartRedis({ dataDir, say, wellKnownPort: portOf(url) });
    await found.stop();
    expect(found.url).toBe(url);
    expect(await pingRedis(portOf(url))).toBe(true);
  });

  test('accepts a REDIS_URL with several addresses if one of them answers', async () => {
    const port = portOf((await start()).url);
    const url = `redis+cluster://127.0.0.1:${wellKnownPort}?addr=127.0.0.1:${port}`;
    expect(await findOrStartRedis({ dataDir, say, url })).toMatchObject({ url });
  });

  test('rejects a REDIS_URL at which no Redis answers', async () => {
    const url = `redis://127.0.0.1:${wellKnownPort}`;
    await expect(findOrStartRedis({ dataDir, say, url })).rejects.toThrow('unset REDIS_URL');
  });

  test('does not mistake another server for a Redis', async () => {
    const server: Server = createServer((socket) => socket.end('-NOAUTH no\r\n')).listen(0);
    await once(server, 'listening');
    cleanups.push(() => server.close());
    const address = server.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    expect(await pingRedis(port)).toBe(false);
  });
});

describe('a Redis that is started for this clone', () => {
  test('keeps its data over a restart', async () => {
    const first = await findOrStartRedis({ dataDir, say, wellKnownPort });
    await call(first.url, (client) => client.set('key', 'kept'));
    await first.stop();
    const second = await start();
    expect(await call(second.url, (client) => client.get('key'))).toBe('kept');
  });

  test('evicts no keys and writes an append-only file', async () => {
    const { url } = await start();
    const [policy, log] = await call(url, async (client) => [
      await client.config('GET', 'maxmemory-policy'),
      await client.config('GET', 'appendonly'),
    ]);
    expect(policy).toEqual(['maxmemory-policy', 'noeviction']);
    expect(log).toEqual(['appendonly', 'yes']);
  });

  test('has ended after stop', async () => {
    const redis = await start();
    await redis.stop();
    await redis.gone;
    expect(await pingRedis(portOf(redis.url))).toBe(false);
  });

  test('is shared by all users of one data directory and stopped by the first', async () => {
    const first = await start();
    const second = await start();
    expect(second.url).toBe(first.url);
    await second.stop();
    expect(await pingRedis(portOf(first.url))).toBe(true);
  });

  test('starts once when two users start it at the same time', async () => {
    const [first, second] = await Promise.all([start(), start()]);
    expect(second.url).toBe(first.url);
  });

  test('is stopped by its second user when its first user was killed', async () => {
    const killed = await start();
    await loseOwner();
    const second = await start();
    await second.stop();
    expect(second.url).toBe(killed.url);
    expect(await pingRedis(portOf(killed.url))).toBe(false);
  });

  test('shows the end of its log when it cannot start', async () => {
    const machine = await describeBareMachine();
    await writeProgram(machine, 'redis-server', 'echo no more memory; exit 1');
    await expect(startOwnRedis({ dataDir, say, machine })).rejects.toThrow(
      /did not start\..*\n {2}no more memory$/,
    );
  });
});

describe('a temporary Redis', () => {
  /** Starts it in another process. */
  async function startElsewhere() {
    const script = `
      const { startTemporaryRedis } = await import('./tools/dist/dev/find-or-start-redis.js');
      const { url } = await startTemporaryRedis('killed', console.error);
      console.log(url);`;
    const args = ['--input-type=module', '--eval', script];
    const owner = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    cleanups.push(() => owner.kill('SIGKILL'));
    const [url] = (await once(owner.stdout, 'data')) as [Buffer];
    const port = portOf(String(url));
    const folder = await call(String(url).trim(), (client) => client.config('GET', 'dir'));
    return { owner, port, folder: (folder as string[])[1]! };
  }

  test.each(['SIGTERM', 'SIGKILL'] as const)(
    'ends with its folder after %s has ended the process that started it',
    async (signal) => {
      const { owner, port, folder } = await startElsewhere();
      const pid = await findRedisPid(port);
      cleanups.push(() => isProcessAlive(pid!) && process.kill(pid!, 'SIGKILL'));
      expect(existsSync(folder)).toBe(true);
      owner.kill(signal);
      await expect.poll(() => pingRedis(port), { timeout: 10_000 }).toBe(false);
      await expect.poll(() => existsSync(folder), { timeout: 10_000 }).toBe(false);
    },
    30_000,
  );
});

describe('a machine without Redis', () => {
  test('installs Redis with its package manager if there is consent', async () => {
    const machine = { ...(await describeBareMachine()), consent: 'as root in a container' };
    const redis = await findOrStartRedis({ dataDir, say, wellKnownPort, machine });
    cleanups.push(() => redis.stop());
    expect(said).toEqual([
      'Redis is not installed: installing it with apt-get, as root in a container …',
    ]);
    expect(await pingRedis(portOf(redis.url))).toBe(true);
  });

  test('shows the command to install Redis if there is no consent', async () => {
    const machine = await describeBareMachine();
    await expect(findOrStartRedis({ dataDir, say, wellKnownPort, machine })).rejects.toThrow(
      /^Redis is not installed\. Install it with "sudo apt-get install redis-server", .*$/,
    );
    expect(said).toEqual([]);
  });
});

/** A machine with a stand-in for apt-get, which "installs" the Redis of the real machine. */
async function describeBareMachine(): Promise<Machine> {
  const machine = { searchPath: join(dataDir, 'bin'), isRoot: true };
  const realServer = findProgram(['redis-server', 'valkey-server'], describeMachine());
  await mkdir(machine.searchPath);
  await writeProgram(
    machine,
    'apt-get',
    `/bin/ln -sf ${realServer} ${machine.searchPath}/redis-server`,
  );
  return machine;
}

async function writeProgram({ searchPath }: Machine, name: string, shell: string): Promise<void> {
  await writeFile(join(searchPath, name), `#!/bin/sh\n${shell}\n`, { mode: 0o755 });
}

/** Makes the record look as if the process that started the server had been killed. */
async function loseOwner(): Promise<void> {
  const process = spawn('true');
  await once(process, 'exit');
  const path = join(dataDir, 'livegate-redis.json');
  const record: object = JSON.parse(await readFile(path, 'utf8'));
  await writeFile(path, JSON.stringify({ ...record, ownerPid: process.pid }));
}
