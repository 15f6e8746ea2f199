import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { connectForRequests, createKeys, createRedisCheckQueue } from '@livegate/core/redis';
import { MAX_SETTING_MS } from '@livegate/core/runtime';
import { exampleJob } from '@livegate/testing';
import { pino } from 'pino';
import { describe, expect, it, onTestFinished } from 'vitest';
import { apiConfigSchema, readApiConfig } from '../../apps/api/src/gateway/config.js';
import { readWorkerConfig, workerConfigSchema } from '../../apps/worker/src/config.js';
import { selfie } from '../harness/images/photos.js';
import { postImage } from '../harness/product/post-image.js';
import {
  createEnv,
  type Env,
  startApi,
  startApp,
  startWorker,
  untilReady,
} from '../harness/product/processes.js';

const pollOptions = { timeout: 20_000 };

const apps = ['api', 'worker'] as const;

/** A port that nobody listens at, or that nobody answers at. */
async function openPort({ listens }: { listens: boolean }): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const close = () => new Promise<void>((resolve) => server.close(() => resolve()));
  if (listens) onTestFinished(() => void server.close());
  else await close();
  return port;
}

async function ask(url: string) {
  const response = await fetch(url);
  return { status: response.status, body: (await response.json()) as { problem?: string } };
}

/** A worker that has just been started, and where it answers its probes. */
async function startWorkerWithProbes(env: Env) {
  const port = await openPort({ listens: false });
  const worker = startApp('worker', { ...env, LIVEGATE_WORKER_HEALTH_PORT: String(port) });
  onTestFinished(async () => void (await worker.stop('SIGKILL')));
  const url = `http://127.0.0.1:${port}`;
  const answer = () => ask(`${url}/livez`).catch(() => undefined);
  await expect.poll(answer, pollOptions).toBeDefined();
  return { ...worker, url };
}

/** What the processes of that environment have in their queue. */
async function openQueue(env: Env) {
  const silent = pino({ level: 'silent' });
  const redis = connectForRequests({ url: env['REDIS_URL'] ?? '', name: 'test' }, 5000, silent);
  const keys = createKeys(env['LIVEGATE_KEY_PREFIX'] ?? '');
  const queue = createRedisCheckQueue({ redis, keys, resultTtlSeconds: 60 });
  onTestFinished(async () => {
    await queue.close();
    redis.disconnect();
  });
  await once(redis, 'ready');
  return queue;
}

/** For NODE_OPTIONS: runs the module before the program. */
const preload = (code: string) => `--import=data:text/javascript,${encodeURIComponent(code)}`;

describe.each(apps)('%s', (app) => {
  it('handles SIGTERM before it loads a library: as process 1 it would ignore it', async () => {
    const stopAtOnce = `import { Module } from 'node:module';
      process.on('newListener', (event) => {
        if (event !== 'SIGTERM') return;
        console.log(JSON.stringify({ libraries: Object.keys(Module._cache) }));
        setImmediate(() => process.kill(process.pid, 'SIGTERM'));
      });`;
    const env = createEnv({ PORT: '0', NODE_OPTIONS: preload(stopAtOnce) });
    const started = startApp(app, env);
    const [code] = (await once(started.child, 'exit')) as [number | null];
    expect(code).toBe(0);
    expect(started.log).toEqual([{ libraries: [] }]);
  });
});

describe.each([
  ['away', false],
  ['silent', true],
])('while Redis is %s', (_name, listens) => {
  it('a starting worker is alive, says what it waits for, and stops when told to', async () => {
    const redis = `redis://127.0.0.1:${await openPort({ listens })}`;
    const worker = await startWorkerWithProbes(createEnv({ REDIS_URL: redis }));
    expect(await ask(`${worker.url}/livez`)).toMatchObject({ status: 200 });
    const problem = async () => (await ask(`${worker.url}/readyz`)).body.problem;
    await expect.poll(problem, pollOptions).toBe('Redis has not been reached');
    expect(await ask(`${worker.url}/readyz`)).toMatchObject({ status: 503 });
    expect(await worker.stop()).toBe(0);
  });

  it('a starting api is alive, says what it waits for, and stops when told to', async () => {
    const redis = `redis://127.0.0.1:${await openPort({ listens })}`;
    const api = await startApi(createEnv({ REDIS_URL: redis }));
    onTestFinished(async () => void (await api.stop('SIGKILL')));
    expect(await ask(`${api.url}/livez`)).toMatchObject({ status: 200 });
    const body = { problem: 'Redis cannot be reached' };
    expect(await ask(`${api.url}/readyz`)).toMatchObject({ status: 503, body });
    expect(await api.stop()).toBe(0);
  });
});

it('a worker that is told to stop while it loads its models takes no check', async () => {
  // They are measured, which takes a second.
  const env = createEnv({ LIVEGATE_ENGINES: 'auto', LIVEGATE_INTRA_OP_THREADS: 'auto' });
  const queue = await openQueue(env);
  await queue.add('a', exampleJob);

  const worker = await startWorkerWithProbes(env);
  expect(await ask(`${worker.url}/readyz`)).toMatchObject({
    status: 503,
    body: { problem: 'the models are being loaded' },
  });
  expect(await worker.stop()).toBe(0);
  expect(await queue.read('a')).toMatchObject({ status: 'queued' });
  expect(worker.log.map(({ msg }) => msg)).toEqual(['stopping', 'stopped']);
});

describe('a product whose durations are all at their maximum', () => {
  const keys = [...Object.keys(apiConfigSchema.shape), ...Object.keys(workerConfigSchema.shape)];
  const durations = keys.filter((key) => key.endsWith('_MS'));
  /** Node only warns of a timer that is too long, and lets it end after 1 ms. */
  const endOnOverflow = `process.on('warning', ({ name, stack }) => {
    if (name !== 'TimeoutOverflowWarning') return;
    console.error(stack);
    process.exit(99);
  })`;

  it('has no timer that is too long for Node, from its start until it is told to stop', async () => {
    const env = createEnv({
      ...Object.fromEntries(durations.map((key) => [key, String(MAX_SETTING_MS)])),
      OTEL_METRICS_EXPORTER: 'otlp',
      OTEL_METRIC_EXPORT_INTERVAL: '9999999999',
      NODE_OPTIONS: preload(endOnOverflow),
    });
    const [api, worker] = await Promise.all([startApi(env), startWorker(env)]);
    onTestFinished(async () => {
      await api.stop('SIGKILL');
      await worker.stop('SIGKILL');
    });
    await untilReady(api.url);
    const { bullQueue } = await openQueue(env);
    const waiting = postImage(api.url, await selfie());
    // The check waits in the worker for company, which a worker that stops does not wait for.
    await expect.poll(() => bullQueue.getActiveCount(), pollOptions).toBe(1);
    const stopped = worker.stop();
    expect(await waiting).toMatchObject({ status: 200 });
    expect(await stopped).toBe(0);
    api.child.kill('SIGTERM');
    await api.logged('stopping');
    expect(await ask(`${api.url}/livez`)).toMatchObject({ status: 200 });
  });

  it.each(durations)('refuses to start with more: %s', (key) => {
    const env = { [key]: String(MAX_SETTING_MS + 1) };
    const read = key in apiConfigSchema.shape ? readApiConfig : readWorkerConfig;
    expect(() => read(env)).toThrow(key);
  });
});
