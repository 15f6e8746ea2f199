import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createKeys, createRedisCheckQueue } from '@livegate/core/redis';
import { exampleJob } from '@livegate/testing';
import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { findFreePort } from '../../tools/dev/ports.js';
import { selfie } from '@livegate/testing/images/photos';
import { ask, postImage } from '@livegate/testing/product/post-image';
import { createEnv, startApi, startWorker, untilReady } from '@livegate/testing/product/processes';
import {
  redisArgs,
  type RedisServer,
  startRedisServer,
} from '@livegate/testing/redis/redis-server';
import { connectWorker } from '@livegate/testing/redis/sandbox';

const root = new URL('../../', import.meta.url);
const keys = createKeys('{livegate}');

let folder: string;
let port: number;
let server: RedisServer;
/** An additional user for the test itself. */
let admin: Redis;

const urlOf = (user: string) => `redis://${user}:PASSWORD@127.0.0.1:${port}`;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'livegate-users-'));
  const aclfile = join(folder, 'users.acl');
  const documented = await readDocumentedUsers();
  await writeFile(aclfile, [...documented, 'user admin on >PASSWORD ~* &* +@all', ''].join('\n'));
  port = await findFreePort();
  server = await startRedisServer(redisArgs({ port: `${port}`, dir: folder, aclfile }));
  admin = new Redis(urlOf('admin'));
});

afterAll(async () => {
  admin.disconnect();
  await server.stop();
  await rm(folder, { recursive: true });
});

/** The ACL file in the documentation. */
async function readDocumentedUsers(): Promise<string[]> {
  const page = await readFile(new URL('docs/how-to/kubernetes.md', root), 'utf8');
  const [, users = ''] = /^```\n(user [^`]+)\n```$/m.exec(page) ?? [];
  return users.split('\n');
}

/** `<user>: <command or key>` of everything that Redis has refused so far. */
async function readRefusals(): Promise<string[]> {
  const entries = (await admin.acl('LOG')) as string[][];
  const fact = (entry: string[], name: string) => entry[entry.indexOf(name) + 1];
  return entries.map((entry) => `${fact(entry, 'username')}: ${fact(entry, 'object')}`);
}

const mayRun = (user: string, command: string) =>
  admin.call('ACL', 'DRYRUN', user, ...command.split(' '));

describe('the documented Redis user', () => {
  it('livegate may run every command that gateway and worker send', async () => {
    const env = createEnv({
      REDIS_URL: urlOf('livegate'),
      LIVEGATE_KEY_PREFIX: keys.prefix,
      LIVEGATE_RATE_LIMIT_PER_MINUTE: '1000',
    });
    const [api, worker] = await Promise.all([startApi(env), startWorker(env)]);
    onTestFinished(async () => {
      await Promise.all([api.stop('SIGKILL'), worker.stop('SIGKILL')]);
    });
    await untilReady(api.url);
    const photo = await selfie();
    const async = { Prefer: 'respond-async', 'Idempotency-Key': 'one' };
    expect(await postImage(api.url, photo)).toMatchObject({ status: 200 });
    const endpoint = { url: 'https://example.com', events: ['passive_liveness.completed'] };
    const headers = { 'content-type': 'application/json' };
    const body = JSON.stringify(endpoint);
    await ask(`${api.url}/v1/webhook-endpoints`, { method: 'POST', headers, body });
    const { requestId } = await postImage(api.url, photo, async);
    expect(await postImage(api.url, photo, { 'Idempotency-Key': 'one' })).toMatchObject({
      status: 200,
      requestId,
    });
    await ask(`${api.url}/v1/jobs/${requestId}/cancel`, { method: 'POST' });
    await ask(`${api.url}/v1/jobs/${requestId}`, { method: 'DELETE' });
    const sessions = `${api.url}/face/v1/passive-liveness-sessions`;
    const creation = JSON.stringify({ success_url: 'https://example.com' });
    const session = (await ask(sessions, { method: 'POST', headers, body: creation })).body;
    const page = `${api.url}/sessions/${String(session['sid'])}`;
    const form = new FormData();
    form.set('token', String((await ask(`${page}/state`)).body['token']));
    form.set('image', new Blob([Uint8Array.from(photo)]));
    expect(await fetch(`${page}/photo`, { method: 'POST', body: form })).toMatchObject({
      status: 200,
    });
    await ask(`${sessions}/${String(session['sid'])}`, { method: 'DELETE' });
    expect(await Promise.all([api.stop(), worker.stop()])).toEqual([0, 0]);
    expect(await readRefusals()).toEqual([]);
  });

  it.each(['CLUSTER SLOTS', 'CLUSTER INFO', 'READONLY'])(
    'livegate may run the commands that find keys in a cluster: %s',
    async (command) => {
      expect(await mayRun('livegate', command)).toBe('OK');
    },
  );

  it.each(['SET elsewhere x', 'KEYS *', 'CONFIG GET *', 'FLUSHALL'])(
    'livegate may not run %s',
    async (command) => {
      expect(await mayRun('livegate', command)).toMatch(/no permissions/);
    },
  );

  it('keda may count the checks in every state that its triggers name, and read no values', async () => {
    await addOneInEachState();
    const keda = new Redis(urlOf('keda'));
    onTestFinished(() => keda.disconnect());
    const count = async (list: string) => [list, await keda.eval(COUNT, 1, list)];
    const counts = await Promise.all((await readTriggers()).map(count));
    expect(counts).toEqual(
      ['wait', 'prioritized', 'active', 'delayed'].map((state) => [
        `{livegate}:liveness:${state}`,
        1,
      ]),
    );
    await expect(keda.lrange('{livegate}:liveness:wait', 0, 0)).rejects.toThrow(/NOPERM/);
    await expect(keda.get('{livegate}:image:x')).rejects.toThrow(/NOPERM/);
  });
});

/** Equivalent to the script of KEDA's Redis scaler, which counts lists and sorted sets. */
const COUNT = `
  local kind = redis.call('TYPE', KEYS[1]).ok
  return redis.call(kind == 'zset' and 'ZCARD' or 'LLEN', KEYS[1])`;

async function readTriggers(): Promise<string[]> {
  const file = new URL('k8s/components/autoscaling/worker.yaml', root);
  const documents = parseAllDocuments(await readFile(file, 'utf8'));
  const { spec } = documents[0]!.toJS() as {
    spec: { triggers: { metadata: { listName: string } }[] };
  };
  return spec.triggers.map(({ metadata }) => metadata.listName);
}

async function addOneInEachState(): Promise<void> {
  const redis = connectWorker('test', urlOf('livegate'));
  await redis.ping();
  const queue = createRedisCheckQueue({ redis, keys, resultTtlSeconds: 60 });
  const worker = new Worker('liveness', null, {
    connection: redis,
    prefix: keys.prefix,
    autorun: false,
  });
  for (const id of ['a', 'b', 'c']) await queue.add(id, exampleJob);
  const failing = await worker.getNextJob('token');
  await failing!.moveToFailed(new Error('ours'), 'token');
  await worker.getNextJob('token');
  // Stalled checks wait without a priority.
  const unranked = new Queue('liveness', { connection: redis, prefix: keys.prefix });
  await unranked.add('check', exampleJob);
  await unranked.close();
  await worker.close();
  await queue.close();
  redis.disconnect();
}
