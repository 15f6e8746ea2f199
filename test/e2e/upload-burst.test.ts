import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { json } from 'node:stream/consumers';
import { expect, onTestFinished, test } from 'vitest';
import { greySquare } from '@livegate/testing/images/photos';
import { credentials } from '@livegate/testing/product/post-image';
import { createEnv, startApi, startWorker, untilReady } from '@livegate/testing/product/processes';

const MIB = 1024 * 1024;
const BUDGET_MIB = 64;

/** Decoders ignore trailing bytes, so that an image can have any size. */
async function imageOfMiB(size: number): Promise<Buffer> {
  return Buffer.concat([(await greySquare()).jpeg, Buffer.alloc(size * MIB)], size * MIB);
}

/**
 * A request whose bytes are made once. `fetch` would make them for each request, which delays the headers
 * of 200 requests beyond the gateway's limit.
 */
async function prepareUpload(image: Buffer) {
  const form = new FormData();
  form.set('image', new Blob([Uint8Array.from(image)]));
  const whole = new Response(form);
  const headers = { ...credentials, 'Content-Type': whole.headers.get('content-type')! };
  const body = Buffer.from(await whole.arrayBuffer());
  return async (url: string) => {
    const req = request(`${url}/face/v1/passive-liveness`, {
      method: 'POST',
      headers: { ...headers, 'Content-Length': body.length, Prefer: 'respond-async' },
    });
    req.end(body);
    const [res] = (await once(req, 'response')) as [IncomingMessage];
    return (await json(res)) as { error_code?: string };
  };
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
  const upload = await prepareUpload(await imageOfMiB(5));
  const burst = (count: number) =>
    Promise.all(Array.from({ length: count }, () => upload(api.url)));
  // Loads code and allocates buffers before the baseline is measured.
  await burst(1);
  const idleMiB = await peakMiB(api.child.pid);

  const answers = await burst(200);
  const outcomes = new Set(answers.map((answer) => answer.error_code ?? 'accepted'));
  expect(outcomes).toEqual(new Set(['accepted', 'overloaded']));
  // Without upload permits, memory grows by all 1,000 MiB. Socket buffers of 200 connections and garbage
  // that is not yet collected come on top of the budget: three times the budget on Node 24.
  expect((await peakMiB(api.child.pid)) - idleMiB).toBeLessThan(4 * BUDGET_MIB);
});
