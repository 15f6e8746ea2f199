import { connectForBackground, createKeys, createRedisCheckQueue } from '@livegate/core/redis';
import { pino } from 'pino';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { findFreePort } from '../../tools/dev/ports.js';
import { groupPhoto, selfie } from '@livegate/testing/images/photos';
import { type Answer, ask, postImage, untilQueued } from '@livegate/testing/product/post-image';
import {
  createEnv,
  type Env,
  startApi,
  startWorker,
  untilReady,
} from '@livegate/testing/product/processes';
import { createOwnRedis } from '@livegate/testing/redis/own-redis';

const eventually = { timeout: 30_000, interval: 50 };
const low = { status: 200, body: { result: { status: 'LOW' } } };

let redis: Awaited<ReturnType<typeof createOwnRedis>>;

beforeAll(async () => {
  redis = await createOwnRedis();
});
afterAll(() => redis.remove());

/** A gateway and a worker with their own key prefix, and readers of their queue. */
async function startProduct(overrides: Env = {}) {
  const env = createEnv({ REDIS_URL: redis.url, ...overrides });
  const [api, worker] = await Promise.all([startApi(env), startWorker(env)]);
  onTestFinished(async () => {
    worker.child.kill('SIGCONT');
    await Promise.all([api.stop('SIGKILL'), worker.stop('SIGKILL')]);
  });
  await untilReady(api.url);

  const keys = createKeys(env['LIVEGATE_KEY_PREFIX'] ?? '');
  const client = connectForBackground({ url: redis.url, name: 'test' }, pino({ level: 'silent' }));
  const queue = createRedisCheckQueue({ redis: client, keys, resultTtlSeconds: 60 });
  onTestFinished(async () => {
    await queue.close();
    client.disconnect();
  });
  const countImages = async () => (await client.keys(keys.image('*'))).length;
  const countActive = () => client.llen(`${keys.prefix}:liveness:active`);
  return { env, api, worker, queue, client, countImages, countActive };
}

type Product = Awaited<ReturnType<typeof startProduct>>;

async function startSpare(env: Env) {
  const worker = await startWorker(env);
  onTestFinished(async () => void (await worker.stop('SIGKILL')));
  return worker;
}

describe('workers', () => {
  it('another worker finishes the checks of a killed worker, each exactly once', async () => {
    const { env, api, worker, queue, countActive, countImages } = await startProduct();
    // 12 megapixels take the worker long enough to be killed in the middle.
    const photo = await sharp(await groupPhoto())
      .resize(4240, 2830, { fit: 'fill' })
      .jpeg()
      .toBuffer();
    const answers = Array.from({ length: 6 }, () => postImage(api.url, photo));
    await expect.poll(countActive, eventually).toBeGreaterThan(0);
    await worker.stop('SIGKILL');
    const spare = await startSpare(env);

    const settled = await Promise.all(answers);
    const tooMany = { result: { status: 'too many faces detected' } };
    for (const answer of settled) expect(answer).toMatchObject({ status: 200, body: tooMany });
    expect(new Set(settled.map(({ requestId }) => requestId)).size).toBe(6);
    expect(await queue.countWaiting()).toBe(0);
    await expect.poll(countImages, eventually).toBe(0);
    // The worker logs after it has replied.
    const done = () => [...worker.log, ...spare.log].filter(({ msg }) => msg === 'check done');
    await expect.poll(done, eventually).toHaveLength(6);
    expect(new Set(done().map(({ requestId }) => requestId))).toEqual(
      new Set(settled.map(({ requestId }) => requestId)),
    );
  });

  it('a stopping worker finishes the checks it has taken and leaves the others queued', async () => {
    const { env, api, worker, queue, countActive } = await startProduct();
    const photo = await selfie();
    worker.child.kill('SIGSTOP');
    const answers = Array.from({ length: 8 }, () => postImage(api.url, photo));
    await expect.poll(() => queue.countWaiting(), eventually).toBe(8);
    worker.child.kill('SIGCONT');
    await expect.poll(countActive, eventually).toBeGreaterThan(0);
    expect(await worker.stop('SIGTERM')).toBe(0);
    // Runs the checks that the first worker had not taken.
    await startSpare(env);
    for (const answer of await Promise.all(answers)) expect(answer).toMatchObject(low);
    expect(worker.log.some((line) => line['msg'] === 'check done')).toBe(true);
  });

  it('checks are refused while there is no worker, and accepted when one has started', async () => {
    const { env, api, worker } = await startProduct();
    await worker.stop();
    await untilReady(api.url, 503);
    expect(await postImage(api.url, await selfie())).toMatchObject({
      status: 503,
      body: { error_code: 'unavailable' },
    });
    await startSpare(env);
    await untilReady(api.url);
    expect(await postImage(api.url, await selfie())).toMatchObject(low);
  });
});

/** Posts while the worker is frozen, and resolves once the check waits in the queue. */
async function postAndHold({ api, worker, env, client }: Product) {
  worker.child.kill('SIGSTOP');
  const answer: Promise<Answer | Error> = postImage(api.url, await selfie()).catch(
    (error: Error) => error,
  );
  const id = await untilQueued(api.url, client, env['LIVEGATE_KEY_PREFIX']!);
  return { id, answer, release: () => worker.child.kill('SIGCONT') };
}

describe('gateways', () => {
  it('a stopping gateway answers the callers that already wait', async () => {
    const product = await startProduct();
    const { answer, release } = await postAndHold(product);
    const exitCode = product.api.stop('SIGTERM');
    await product.api.logged('stopping');
    release();
    expect(await answer).toMatchObject(low);
    expect(await exitCode).toBe(0);
  });

  it('a check finishes although its gateway was killed, and only its caller gets no answer', async () => {
    const product = await startProduct();
    const { id, answer, release } = await postAndHold(product);
    await product.api.stop('SIGKILL');
    expect(await answer).toBeInstanceOf(Error);
    release();
    await expect
      .poll(() => product.queue.read(id), eventually)
      .toMatchObject({ outcome: { result: { verdict: { status: 'LOW' } } } });
    await expect.poll(product.countImages, eventually).toBe(0);
  });

  it('a finished check leaves less than 2 KB and no image in Redis', async () => {
    const { api, client, env, countImages } = await startProduct();
    const { requestId } = await postImage(api.url, await selfie());
    await expect.poll(countImages, eventually).toBe(0);
    const job = await client.hgetall(`${env['LIVEGATE_KEY_PREFIX']}:liveness:${requestId}`);
    expect(JSON.parse(job['data'] ?? '')).toEqual({
      version: 1,
      tenant: 'development',
      replyTo: expect.any(String),
      isCallersOnly: true,
      imageBytes: expect.any(Number),
      work: expect.any(Number),
      ms: expect.any(Number),
      baseUrl: expect.any(String),
    });
    expect(JSON.stringify(job).length).toBeLessThan(2000);
  });
});

describe('Redis', () => {
  it('a worker that cannot reach Redis is not ready but alive', async () => {
    const port = await findFreePort();
    const { worker } = await startProduct({ LIVEGATE_WORKER_HEALTH_PORT: `${port}` });
    const probe = async (path: string) => (await fetch(`http://127.0.0.1:${port}${path}`)).status;
    expect(await probe('/readyz')).toBe(200);
    redis.freeze();
    onTestFinished(() => void redis.thaw());
    await expect.poll(() => probe('/readyz'), eventually).toBe(503);
    expect(await probe('/livez')).toBe(200);
    redis.thaw();
    await expect.poll(() => probe('/readyz'), eventually).toBe(200);
    expect(await worker.stop()).toBe(0);
  });

  it('a frozen Redis makes checks end with 503 unavailable, and checks succeed after it recovers', async () => {
    const { api } = await startProduct();
    const photo = await selfie();
    redis.freeze();
    onTestFinished(() => void redis.thaw());
    expect(await postImage(api.url, photo)).toMatchObject({
      status: 503,
      body: { error_code: 'unavailable' },
    });
    redis.thaw();
    await untilReady(api.url);
    expect(await postImage(api.url, photo)).toMatchObject(low);
  });

  it('a full Redis makes checks end with 503 overloaded, and checks succeed after it has room', async () => {
    const { api, client } = await startProduct();
    const { requestId } = await postImage(api.url, await selfie());
    await client.config('SET', 'maxmemory', '1mb');
    onTestFinished(() => void client.config('SET', 'maxmemory', '0'));
    expect(await postImage(api.url, await selfie())).toMatchObject({
      status: 503,
      body: { error_code: 'overloaded' },
    });
    expect(await ask(`${api.url}/v1/jobs/${requestId}`)).toMatchObject({ status: 200 });
    await client.config('SET', 'maxmemory', '0');
    await untilReady(api.url);
    expect(await postImage(api.url, await selfie())).toMatchObject(low);
  });

  it('an accepted check survives a restart of Redis, and its caller gets the verdict', async () => {
    const product = await startProduct();
    const { answer, release } = await postAndHold(product);
    await redis.stop();
    await redis.start();
    release();
    expect(await answer).toMatchObject(low);
  });

  it('gateway and worker stop with exit code 0 while Redis is down', async () => {
    const { api, worker } = await startProduct();
    await redis.stop();
    onTestFinished(() => redis.start());
    await untilReady(api.url, 503);
    expect(await Promise.all([api.stop('SIGTERM'), worker.stop('SIGTERM')])).toEqual([0, 0]);
  });

  it('a gateway that starts before Redis becomes ready once Redis has started', async () => {
    const env = createEnv({ REDIS_URL: redis.url });
    await redis.stop();
    const api = await startApi(env);
    onTestFinished(async () => void (await api.stop('SIGKILL')));
    expect(await postImage(api.url, await selfie())).toMatchObject({ status: 503 });
    await redis.start();
    await startSpare(env);
    await untilReady(api.url);
    expect(await postImage(api.url, await selfie())).toMatchObject(low);
  });
});
