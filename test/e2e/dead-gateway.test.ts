import { createKeys, createRedisCheckQueue, createRedisImageStore } from '@livegate/core/redis';
import { selfie } from '@livegate/testing/images/photos';
import { postImage } from '@livegate/testing/product/post-image';
import { createEnv, startApi, startWorker, untilReady } from '@livegate/testing/product/processes';
import { connectWorker } from '@livegate/testing/redis/sandbox';
import { expect, it, onTestFinished } from 'vitest';

const WAIT_LIMIT_MS = 5000;
/** As in the adapter of the registry. */
const AWAY_MS = 3000;
const compare = (a: string, b: string) => a.localeCompare(b);
const eventually = { timeout: 40_000, interval: 50 };

it(
  'checks that only callers of a dead gateway wanted never run, and others do',
  { timeout: 120_000 },
  async () => {
    const env = createEnv({ LIVEGATE_WAIT_LIMIT_MS: `${WAIT_LIMIT_MS}` });
    const keys = createKeys(env['LIVEGATE_KEY_PREFIX']!);
    const redis = connectWorker();
    const queue = createRedisCheckQueue({ redis, keys, resultTtlSeconds: 60 });
    const imageStore = createRedisImageStore({ redis, keys, ttlSeconds: 60 });
    onTestFinished(async () => {
      await queue.close();
      redis.disconnect();
    });
    const [api, first] = await Promise.all([startApi(env), startWorker(env)]);
    onTestFinished(async () => {
      await Promise.all([api.stop('SIGKILL'), first.stop('SIGKILL')]);
    });
    await untilReady(api.url);
    const photo = await selfie();

    // Until its registration expires, gateways still count on the worker.
    await first.stop('SIGKILL');
    const asked = [{}, {}, { 'Idempotency-Key': 'one' }].map((headers) =>
      postImage(api.url, photo, headers).catch(() => 'cut off'),
    );
    await expect.poll(queue.countWaiting, eventually).toBe(3);
    await api.stop('SIGKILL');
    expect(await Promise.all(asked)).toEqual(['cut off', 'cut off', 'cut off']);
    const jobs = await queue.bullQueue.getJobs(['prioritized']);
    const [gateway] = new Set(jobs.map(({ data }) => String(data.replyTo)));
    const silentMs = async () => WAIT_LIMIT_MS + 5000 - (await redis.pttl(keys.gateway(gateway!)));
    await expect.poll(silentMs, eventually).toBeGreaterThan(AWAY_MS);

    const second = await startWorker(env);
    onTestFinished(async () => void (await second.stop('SIGKILL')));
    const states = async () => {
      const records = await Promise.all(jobs.map(({ id }) => queue.read(id!)));
      return records.map((record) => `${record?.status} ${record?.keySha256 ? 'with a key' : ''}`);
    };
    const expected = ['canceled ', 'canceled ', 'succeeded with a key'];
    await expect.poll(async () => (await states()).toSorted(compare), eventually).toEqual(expected);
    const ended = () =>
      second.log.filter(({ msg }) => msg === 'check done' || msg === 'check failed');
    await expect.poll(() => ended().length, eventually).toBe(3);
    const outcomes = ended().map(({ outcome }) => String(outcome));
    expect(outcomes.toSorted(compare)).toEqual(['canceled', 'canceled', 'verdict']);
    const images = await imageStore.get(jobs.map(({ id }) => id!));
    expect(images).toEqual([undefined, undefined, undefined]);
  },
);
