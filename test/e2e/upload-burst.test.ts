import { readFile } from 'node:fs/promises';
import { expect, onTestFinished, test } from 'vitest';
import { greySquare } from '@livegate/testing/images/photos';
import { postImage } from '@livegate/testing/product/post-image';
import { createEnv, startApi, startWorker, untilReady } from '@livegate/testing/product/processes';

const MIB = 1024 * 1024;
const BUDGET_MIB = 64;

/** Decoders ignore trailing bytes, so that an image can have any size. */
async function imageOfMiB(size: number): Promise<Buffer> {
  return Buffer.concat([(await greySquare()).jpeg, Buffer.alloc(size * MIB)], size * MIB);
}

/** The peak memory of a process, from Linux's VmHWM. */
async function peakMiB(pid: number | undefined): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
}

test('200 simultaneous uploads of 5 MiB keep the gateway’s memory bounded: what does not fit is refused', async () => {
  const env = createEnv({
    LIVEGATE_MAX_UPLOAD_BYTES_IN_FLIGHT: `${BUDGET_MIB * MIB}`,
    // On a busy machine, Redis would count as unreachable.
    LIVEGATE_REDIS_TIMEOUT_MS: '10000',
  });
  const [api, worker] = await Promise.all([startApi(env), startWorker(env)]);
  onTestFinished(async () => void (await Promise.all([api.stop(), worker.stop()])));
  await untilReady(api.url);
  const image = await imageOfMiB(5);
  const burst = (count: number) =>
    Promise.all(
      Array.from({ length: count }, () => postImage(api.url, image, { Prefer: 'respond-async' })),
    );
  // Loads code and allocates buffers before the baseline is measured.
  await burst(1);
  const idleMiB = await peakMiB(api.child.pid);

  const answers = await burst(200);
  const outcomes = new Set(answers.map(({ body }) => body.error_code ?? 'accepted'));
  expect(outcomes).toEqual(new Set(['accepted', 'overloaded']));
  // Without upload permits, memory grows by all 1,000 MiB. Socket buffers of 200 connections and garbage
  // that is not yet collected come on top of the budget: three times the budget on Node 24.
  expect((await peakMiB(api.child.pid)) - idleMiB).toBeLessThan(4 * BUDGET_MIB);
});
