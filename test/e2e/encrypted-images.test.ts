import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createKeys } from '@livegate/core/redis';
import { Redis } from 'ioredis';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { noFace, selfie } from '@livegate/testing/images/photos';
import { postImage } from '@livegate/testing/product/post-image';
import {
  createEnv,
  type Env,
  startApi,
  startWorker,
  untilReady,
} from '@livegate/testing/product/processes';
import { redisUrl } from '@livegate/testing/redis/sandbox';

const eventually = { timeout: 30_000, interval: 50 };
const low = { status: 200, body: { result: { status: 'LOW' } } };
const first = '1a'.repeat(32);
const second = '2b'.repeat(32);

let photo: Buffer;

beforeAll(async () => {
  photo = await selfie();
});

/** A gateway and a worker, which read the keys of a file each. */
async function startProduct({ worker: ofWorker = {} as Env, gatewayKeys = `one ${first}\n` } = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'livegate-images-'));
  const fileOf = (name: string) => join(folder, name);
  const write = (name: string, text: string) => writeFile(fileOf(name), text);
  await Promise.all([write('api', gatewayKeys), write('worker', `one ${first}\n`)]);
  const env = createEnv({ REDIS_URL: redisUrl });
  const [api, worker] = await Promise.all([
    startApi({ ...env, LIVEGATE_IMAGE_KEYS_FILE: gatewayKeys && fileOf('api') }),
    startWorker({ ...env, LIVEGATE_IMAGE_KEYS_FILE: fileOf('worker'), ...ofWorker }),
  ]);
  const redis = new Redis(redisUrl);
  onTestFinished(async () => {
    worker.child.kill('SIGCONT');
    await Promise.all([api.stop('SIGKILL'), worker.stop('SIGKILL')]);
    redis.disconnect();
    await rm(folder, { recursive: true });
  });
  await untilReady(api.url);
  const keys = createKeys(env['LIVEGATE_KEY_PREFIX'] ?? '');
  const list = `${keys.prefix}:liveness:prioritized`;

  /** Posts while the worker is frozen; resolves once the image is in Redis. */
  async function hold(image: Buffer) {
    worker.child.kill('SIGSTOP');
    const known = new Set(await redis.zrange(list, '0', '-1'));
    const answer = postImage(api.url, image);
    const added = async () => (await redis.zrange(list, '0', '-1')).filter((id) => !known.has(id));
    await expect.poll(async () => (await added()).length, eventually).toBe(1);
    const [id = ''] = await added();
    return { answer, key: keys.image(id), release: () => worker.child.kill('SIGCONT') };
  }
  return { api, worker, redis, prefix: keys.prefix, write, hold };
}

describe('with a key, an image in Redis', () => {
  it('is encrypted, and its check gets the verdict', async () => {
    const { redis, hold } = await startProduct();
    const { answer, key, release } = await hold(photo);
    const value = await redis.getBuffer(key);
    expect(value?.toString('latin1', 0, 8)).toBe('LGE1\x03one');
    expect(value?.includes(photo.subarray(1000, 1016))).toBe(false);
    release();
    expect(await answer).toMatchObject(low);
  });

  it('is known to its Idempotency-Key by a keyed hash only', async () => {
    const { api, redis, prefix } = await startProduct();
    const headers = { 'Idempotency-Key': 'order-4711' };
    const { requestId } = await postImage(api.url, photo, headers);
    expect(await postImage(api.url, photo, headers)).toMatchObject({ status: 200, requestId });
    expect(await postImage(api.url, await noFace(), headers)).toMatchObject({ status: 422 });
    const [key = ''] = await redis.keys(`${prefix}:key:*`);
    const claim = JSON.parse((await redis.get(key)) ?? '') as { imageSha256: string };
    expect(claim.imageSha256).toMatch(/^one:[0-9a-f]{64}$/);
    expect(claim.imageSha256).not.toContain(createHash('sha256').update(photo).digest('hex'));
  });

  it('that was changed fails its check with internal_error, and the log says why', async () => {
    const { worker, redis, hold } = await startProduct();
    const { answer, key, release } = await hold(photo);
    const value = await redis.getBuffer(key);
    value![value!.length - 1]! ^= 1;
    await redis.set(key, value!, 'KEEPTTL');
    release();
    const body = { error_code: 'internal_error', error_message: 'internal server error' };
    expect(await answer).toMatchObject({ status: 500, body });
    await expect
      .poll(() => JSON.stringify(worker.log), eventually)
      .toContain('the encrypted image in Redis was changed');
  });

  it('of another check fails the check that it was moved to', async () => {
    const { redis, hold } = await startProduct();
    const one = await hold(photo);
    const other = await hold(await noFace());
    await redis.copy(one.key, other.key, 'REPLACE');
    one.release();
    expect(await other.answer).toMatchObject({ status: 500 });
    expect(await one.answer).toMatchObject(low);
  });
});

describe('keys rotate without a restart', () => {
  it('and a worker that gets the new key later loses no check', async () => {
    const { api, worker, write } = await startProduct();
    await write('api', `two ${second}\none ${first}\n`);
    await expect.poll(() => JSON.stringify(api.log), eventually).toContain('image keys reloaded');
    const answer = postImage(api.url, photo);
    await expect
      .poll(() => JSON.stringify(worker.log), eventually)
      .toContain('or a key is missing');
    await write('worker', `one ${first}\ntwo ${second}\n`);
    expect(await answer).toMatchObject(low);
  });
});

describe('a plain image', () => {
  it('is checked during a rolling update, by a worker that has keys already', async () => {
    const { api } = await startProduct({ gatewayKeys: '' });
    expect(await postImage(api.url, photo)).toMatchObject(low);
  });

  it('fails its check once encrypted images are required', async () => {
    const { api } = await startProduct({
      gatewayKeys: '',
      worker: { LIVEGATE_REQUIRE_ENCRYPTED_IMAGES: 'true' },
    });
    expect(await postImage(api.url, photo)).toMatchObject({ status: 500 });
  });
});
