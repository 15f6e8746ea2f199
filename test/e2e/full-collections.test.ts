import { fileURLToPath } from 'node:url';
import { postImage } from '@livegate/testing/product/post-image';
import { createEnv, startApi, startWorker, untilReady } from '@livegate/testing/product/processes';
import sharp from 'sharp';
import { expect, it, onTestFinished } from 'vitest';

const UPLOADS = 120;
const CALLERS = 10;
const BYTES = 600_000;
const eventually = { timeout: 30_000, interval: 20 };

it(
  'the memory of uploads does not make the gateway collect its whole heap',
  { timeout: 120_000 },
  async () => {
    const env = createEnv();
    const preload = fileURLToPath(new URL('watch-collections.mjs', import.meta.url));
    const watched = { ...env, NODE_OPTIONS: `--import=${preload}` };
    const [api, worker] = await Promise.all([startApi(watched), startWorker(env)]);
    onTestFinished(async () => {
      await Promise.all([api.stop('SIGKILL'), worker.stop('SIGKILL')]);
    });
    await untilReady(api.url);
    const image = await longImage();
    const send = async (count: number) => {
      for (let i = 0; i < count; i++) {
        expect((await postImage(api.url, image, { Prefer: 'respond-async' })).status).toBe(202);
      }
    };
    const counts = () => api.log.filter(({ msg }) => msg === 'full collections');
    const countAgain = async () => {
      const before = counts().length;
      api.child.kill('SIGUSR2');
      await expect.poll(() => counts().length, eventually).toBe(before + 1);
    };
    await send(20);
    await countAgain();
    await Promise.all(Array.from({ length: CALLERS }, () => send(UPLOADS / CALLERS)));
    await countAgain();
    expect(counts().at(-1)!['full']).toBeLessThan(UPLOADS / 20);
  },
);

/** Decoders ignore what follows the image. */
async function longImage(): Promise<Buffer> {
  const create = { width: 64, height: 64, channels: 3 as const, background: 'grey' };
  return Buffer.concat([await sharp({ create }).jpeg().toBuffer(), Buffer.alloc(BYTES)]);
}
