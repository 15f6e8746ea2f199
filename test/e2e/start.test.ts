import { type ChildProcess, execFile, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { expect, it, onTestFinished } from 'vitest';
import { findFreePort } from '../../tools/dev/ports.js';
import { guardGroup, isProcessAlive, signalGroup } from '../../tools/dev/processes.js';
import { pingRedis } from '../../tools/dev/redis-server.js';
import { selfie } from '@livegate/testing/images/photos';
import { authOf } from '@livegate/testing/product/documented-product';
import { postImage } from '@livegate/testing/product/post-image';
import { createEnv } from '@livegate/testing/product/processes';

const run = promisify(execFile);
const root = resolve(import.meta.dirname, '../..');
const redisRecords = ['redis', 'redis-images'].map((name) =>
  resolve(root, `.data/${name}/livegate-redis.json`),
);
const STOPS_WITHIN_MS = 20_000;
const withoutCurl = spawnSync('curl', ['--version']).error !== undefined;
/** `npm start` would share that Redis and start none of its own. */
const hasOtherRedis = redisRecords.some((path) => existsSync(path)) || (await pingRedis(6379));

/** `npm start` as in the README, with its own key prefix and port. */
async function npmStart(overrides: Record<string, string> = {}) {
  const port = await findFreePort();
  const env = { ...process.env, ...createEnv({ PORT: String(port) }), ...overrides };
  // Its own process group, to which a terminal would send Ctrl-C.
  const npm = spawn('npm', ['start'], { cwd: root, env, detached: true, stdio: 'pipe' });
  const release = guardGroup(npm.pid!);
  // npm may end before the programs that it has started, which hold its output open.
  let hasEnded = false;
  const ended = once(npm, 'close').finally(() => {
    hasEnded = true;
    release();
  });
  const stop = async (signal: NodeJS.Signals): Promise<void> => {
    if (hasEnded) return;
    signalGroup(npm.pid!, signal);
    // The second signal kills what the first one has not stopped.
    const force = setTimeout(() => signalGroup(npm.pid!, signal), STOPS_WITHIN_MS);
    await ended;
    clearTimeout(force);
  };
  onTestFinished(() => stop('SIGTERM'), 2 * STOPS_WITHIN_MS);
  let printed = '';
  npm.stdout.on('data', (data: Buffer) => (printed += String(data)));
  npm.stderr.resume();
  await expect.poll(() => printed, { timeout: 60_000 }).toContain('curl ');
  const curl = /^ *(curl .*)$/m.exec(printed)?.[1] ?? '';
  return { npm, port, curl, stop, printed: () => printed };
}

/** The gateway and the worker, whose log lines may arrive after the curl command. */
async function findPids(printed: () => string): Promise<number[]> {
  const find = () => {
    const pids = [...printed().matchAll(/"pid":(\d+)/g)].map(([, pid]) => Number(pid));
    return [...new Set(pids)];
  };
  await expect.poll(find, { timeout: 20_000 }).toHaveLength(2);
  return find();
}

// CI installs curl, so the test is skipped on developers' machines only.
it.skipIf(withoutCurl)(
  'npm start prints the curl command of the README, which gets a verdict',
  async () => {
    const { port, curl, stop } = await npmStart();
    const { stdout } = await run('sh', ['-c', curl], { cwd: root });
    expect(JSON.parse(stdout)).toMatchObject({ status: 'success', result: { status: 'LOW' } });

    const readme = await readFile(resolve(root, 'README.md'), 'utf8');
    const unwrapped = readme.replaceAll(/\\\n\s*/g, '');
    expect(unwrapped).toContain(curl.replace(`:${port}/`, ':8080/'));
    await stop('SIGTERM');
  },
);

it('npm start lists every configuration problem at once', async () => {
  const wrong = { PORT: 'http', REDIS_URL: 'ftp://x', LIVEGATE_ENGINES: 'many', NODE_ENV: 'prod' };
  const env = { ...process.env, ...createEnv(wrong) };
  const failed = run('npm', ['start'], { cwd: root, env }).catch((error: unknown) => error);
  const { stderr } = (await failed) as { stderr: string };
  const named = [...stderr.matchAll(/^ {2}([A-Z_]+): /gm)].map(([, key]) => key);
  expect(new Set(named)).toEqual(new Set(Object.keys(wrong)));
});

it('npm start delivers webhooks to a receiver on the same machine', async () => {
  const { port, stop } = await npmStart();
  const receiver = createServer((_req, res) => res.end('{}')).listen(0, '127.0.0.1');
  onTestFinished(() => void receiver.close());
  const called = once(receiver, 'request');
  await once(receiver, 'listening');
  const call = (path: string, body?: object) =>
    fetch(`http://127.0.0.1:${port}/v1/webhook-endpoints${path}`, {
      method: 'POST',
      headers: { ...authOf('default-username'), 'content-type': 'application/json' },
      ...(body && { body: JSON.stringify(body) }),
    });
  const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`;
  const created = await call('', { url, events: ['passive_liveness.completed'] });
  expect(created.status).toBe(201);
  const { id } = (await created.json()) as { id: string };
  expect((await call(`/${id}/test`)).status).toBe(202);
  await called;
  await stop('SIGTERM');
});

// Skipped while `npm start` of this clone, or another Redis, runs on this machine.
it.skipIf(hasOtherRedis)(
  'Ctrl-C stops api, worker and both Redis servers of npm start',
  async () => {
    const { printed, stop } = await npmStart({ REDIS_URL: '' });
    const pids = await findPids(printed);
    const records = redisRecords.map(async (path): Promise<number> => {
      const record = JSON.parse(await readFile(path, 'utf8')) as { server: { pid: number } };
      return record.server.pid;
    });
    const all = [...pids, ...(await Promise.all(records))];
    expect(all).toHaveLength(4);
    expect(all.map(isProcessAlive)).toEqual([true, true, true, true]);
    await stop('SIGINT');
    expect(all.map(isProcessAlive)).toEqual([false, false, false, false]);
    expect(redisRecords.map((path) => existsSync(path))).toEqual([false, false]);
  },
);

/** The program that npm runs: npm itself ends at a SIGHUP, and does not pass it on. */
function findProgram(npm: ChildProcess): number {
  const listing = execFileSync('ps', ['-eo', 'pid=,pgid=,args='], { encoding: 'utf8' });
  const line = listing
    .split('\n')
    .map((each) => each.trim().split(/\s+/))
    .find(([, group, ...args]) => group === `${npm.pid}` && args.at(-2)?.endsWith('bootstrap.mjs'));
  return Number(line?.[0]);
}

let left: number[] = [];

it.fails('a test that fails while npm start runs', async () => {
  const { npm, printed } = await npmStart();
  left = [npm.pid!, findProgram(npm), ...(await findPids(printed))];
  expect(left, 'is wrong, for the cleanup that follows').toEqual([]);
});

it('leaves none of the processes behind', () => {
  expect(left.map(Number.isInteger)).toEqual([true, true, true, true]);
  expect(left.filter(isProcessAlive)).toEqual([]);
});

it('npm start passes SIGHUP on to its worker, which reads the models again', async () => {
  const { npm, printed, stop } = await npmStart();
  process.kill(findProgram(npm), 'SIGHUP');
  await expect.poll(printed, { timeout: 20_000 }).toContain('models unchanged');
  expect(npm.exitCode).toBeNull();
  await stop('SIGTERM');
});

it('npm start answers all waiting callers before it stops on SIGTERM', async () => {
  // The default. Without it, a connection whose request is still on its way would be closed.
  const { port, stop } = await npmStart({ LIVEGATE_DRAIN_MS: '1000' });
  const photo = await selfie();
  const url = `http://127.0.0.1:${port}`;
  const answers = Array.from({ length: 24 }, () => postImage(url, photo));
  // After the first answer, the other checks are queued, running, or on their way here.
  await Promise.race(answers);
  await stop('SIGTERM');
  for (const { status } of await Promise.all(answers)) expect(status).toBe(200);
});
