import { createKeys, createRedisCheckQueue } from '@livegate/core/redis';
import { selfie } from '@livegate/testing/images/photos';
import { postImage, untilQueued } from '@livegate/testing/product/post-image';
import { createEnv, startApi, startWorker, untilReady } from '@livegate/testing/product/processes';
import { connectWorker } from '@livegate/testing/redis/sandbox';
import { createTcpProxy } from '@livegate/testing/redis/tcp-proxy';
import { expect, it, onTestFinished } from 'vitest';

const WAIT_LIMIT_MS = 30_000;
/** As in `open-store.ts` of the gateway. */
const GONE_AFTER_MS = WAIT_LIMIT_MS + 5000;
/** As in the adapter of the registry. */
const AWAY_MS = 3000;
const eventually = { timeout: 40_000, interval: 50 };

it(
  'a check waits while its gateway is cut off from Redis, and has a verdict if its caller still waits then',
  { timeout: 120_000 },
  async () => {
    const env = createEnv({ LIVEGATE_WAIT_LIMIT_MS: `${WAIT_LIMIT_MS}` });
    const keys = createKeys(env['LIVEGATE_KEY_PREFIX']!);
    const redis = connectWorker();
    const queue = createRedisCheckQueue({ redis, keys, resultTtlSeconds: 60 });
    const link = await createTcpProxy(Number(new URL(env['REDIS_URL']!).port));
    onTestFinished(async () => {
      await queue.close();
      redis.disconnect();
      link.close();
    });
    const linked = { ...env, REDIS_URL: `redis://127.0.0.1:${link.port}` };
    const [api, first] = await Promise.all([startApi(linked), startWorker(env)]);
    onTestFinished(async () => {
      await Promise.all([api.stop('SIGKILL'), first.stop('SIGKILL')]);
    });
    await untilReady(api.url);
    await first.stop('SIGKILL');
    const answered = postImage(api.url, await selfie());
    const id = await untilQueued(api.url, redis, keys.prefix);
    const [job] = await queue.bullQueue.getJobs(['prioritized']);
    const { data } = job!;
    expect(data.isCallersOnly).toBe(true);

    link.fail('cut');
    const leftMs = () => redis.pttl(keys.gateway(String(data.replyTo)));
    await expect.poll(leftMs, eventually).toBeLessThan(GONE_AFTER_MS - AWAY_MS);
    const second = await startWorker(env);
    onTestFinished(async () => void (await second.stop('SIGKILL')));
    const delayed = async () => (await queue.bullQueue.getJobs(['delayed'])).map((each) => each.id);
    await expect.poll(delayed, eventually).toEqual([id]);
    expect(await queue.read(id)).toMatchObject({ status: 'queued' });

    link.heal();
    expect(await answered).toMatchObject({ status: 200, requestId: id });
  },
);
