import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { connectForRequests, createKeys, createRedisCheckQueue } from '@livegate/core/redis';
import { MAX_SETTING_MS } from '@livegate/core/runtime';
import { exampleJob } from '@livegate/testing';
import { pino } from 'pino';
import { describe, expect, it, onTestFinished } from 'vitest';
import { apiConfigSchema, readApiConfig } from '../../apps/api/src/gateway/config.js';
import { readWorkerConfig, workerConfigSchema } from '../../apps/worker/src/config.js';
import { selfie } from '@livegate/testing/images/photos';
import { postImage } from '@livegate/testing/product/post-image';
import {
  createEnv,
  type Env,
  startApi,
  startApp,
  startWorker,
  untilReady,
} from '@livegate/testing/product/processes';

const pollOptions = { timeout: 20_000 };

const apps = ['api', 'worker'] as const;

/** A port that refuses connections, or one that accepts them and never answers. */
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

/** A starting worker that already answers probes, and their URL. */
async function startWorkerWithProbes(env: Env) {
  const port = await openPort({ listens: false });
  const worker = startApp('worker', { ...env, LIVEGATE_WORKER_HEALTH_PORT: String(port) });
  onTestFinished(async () => void (await worker.stop('SIGKILL')));
  const url = `http://127.0.0.1:${port}`;
  const answer = () => ask(`${url}/livez`).catch(() => undefined);
  await expect.poll(answer, pollOptions).toBeDefined();
  return { ...worker, url };
}

/** The check queue of the processes with this environment. */
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

/** A value for NODE_OPTIONS that runs `code` as a module before the program. */
const preload = (code: string) => `--import=data:text/javascript,${encodeURIComponent(code)}`;

describe.each(apps)('%s', (app) => {
  // The kernel ignores SIGTERM for process 1 until there is a handler.
  it('handles SIGTERM before it loads any library', async () => {
    const stopAtOnce = `import { Module } from 'node:module';
      process.on('newListener', (event) => {
        if (event !== 'SIGTERM') return;
        // A library in a bundle is not in the cache. One that connects loads Node's module "net".
        const sockets = process.moduleLoadList.filter((name) => name === 'NativeModule net');
        const libraries = Object.keys(Module._cache);
        console.log(JSON.stringify({ libraries, sockets }));
        setImmediate(() => process.kill(process.pid, 'SIGTERM'));
      });`;
    const env = createEnv({ PORT: '0', NODE_OPTIONS: preload(stopAtOnce) });
    const started = startApp(app, env);
    const [code] = (await once(started.child, 'close')) as [number | null];
    expect(code).toBe(0);
    expect(started.log).toEqual([{ libraries: [], sockets: [] }]);
  });
});

describe.each([
  ['refuses connections', false],
  ['does not answer', true],
])('while Redis %s', (_name, listens) => {
  it('a starting worker is alive, names Redis in /readyz, and stops on SIGTERM', async () => {
    const redis = `redis://127.0.0.1:${await openPort({ listens })}`;
    const worker = await startWorkerWithProbes(createEnv({ REDIS_URL: redis }));
    expect(await ask(`${worker.url}/livez`)).toMatchObject({ status: 200 });
    const problem = async () => (await ask(`${worker.url}/readyz`)).body.problem;
    await expect.poll(problem, pollOptions).toBe('Redis has not been reached');
    expect(await ask(`${worker.url}/readyz`)).toMatchObject({ status: 503 });
    expect(await worker.stop()).toBe(0);
  });

  it('a starting api is alive, names Redis in /readyz, and stops on SIGTERM', async () => {
    const redis = `redis://127.0.0.1:${await openPort({ listens })}`;
    const api = await startApi(createEnv({ REDIS_URL: redis }));
    onTestFinished(async () => void (await api.stop('SIGKILL')));
    expect(await ask(`${api.url}/livez`)).toMatchObject({ status: 200 });
    const body = { problem: 'Redis cannot be reached' };
    expect(await ask(`${api.url}/readyz`)).toMatchObject({ status: 503, body });
    expect(await api.stop()).toBe(0);
  });
});

it('a worker that is stopped while it loads its models takes no check', async () => {
  // Measuring the layout makes loading take a second.
  const env = createEnv({
    LIVEGATE_ENGINES: 'auto',
    LIVEGATE_INTRA_OP_THREADS: 'auto',
    LIVEGATE_MEASURE_LAYOUT: 'true',
  });
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

describe('a maximal duration in every setting', () => {
  const keys = [...Object.keys(apiConfigSchema.shape), ...Object.keys(workerConfigSchema.shape)];
  const durations = keys.filter((key) => key.endsWith('_MS'));
  /** Node only warns about a timer that is too long, and fires it after 1 ms. */
  const endOnOverflow = `process.on('warning', ({ name, stack }) => {
    if (name !== 'TimeoutOverflowWarning') return;
    console.error(stack);
    process.exit(99);
  })`;

  it('creates no timer that is too long for Node, from the start to the stop', async () => {
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
    // The worker lingers for a larger batch; stopping ends the wait.
    await expect.poll(() => bullQueue.getActiveCount(), pollOptions).toBe(1);
    const stopped = worker.stop();
    expect(await waiting).toMatchObject({ status: 200 });
    expect(await stopped).toBe(0);
    api.child.kill('SIGTERM');
    await api.logged('stopping');
    expect(await ask(`${api.url}/livez`)).toMatchObject({ status: 200 });
  });

  it.each(durations)('is refused when it is longer: %s', (key) => {
    const env = { [key]: String(MAX_SETTING_MS + 1) };
    const read = key in apiConfigSchema.shape ? readApiConfig : readWorkerConfig;
    expect(() => read(env)).toThrow(key);
  });
});
