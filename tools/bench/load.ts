import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';
import { repeatWork, type Rate } from './rounds.js';

export interface Load {
  image: Buffer;
  /** Callers, each with a connection of its own that is kept open. */
  connections: number;
  seconds: number;
  /** Requests per second of all callers together, where they do not go as fast as they can. */
  perSecond?: number;
  /** A refusal that asks to try again later is heeded; otherwise the rate would mean nothing. */
  mayRefuse?: boolean;
}

const PATH = '/face/v1/passive-liveness';
const RETRY_MS = 1000;
const credentials = {
  authorization: `Basic ${Buffer.from('default-username:default-password').toString('base64')}`,
  'x-api-key': 'default-api-key',
};

/**
 * Callers that each send the next image when the last is answered, from this process. Resolves when
 * nothing is on its way any more. Rejects if an answer is not 200.
 *
 * Not autocannon: it cuts off what is under way at the end, so the slowest answers do not count and
 * meet the next measurement, and it sends the requests of a second in one burst.
 */
export async function sendLoad(url: string, load: Load): Promise<Rate> {
  const { connections: concurrency, seconds, perSecond } = load;
  const { send, close } = await openCallers(url, load.image, concurrency);
  const sendOk = async () => {
    const { status, body } = await send();
    if (status === 503 && load.mayRefuse) await sleep(RETRY_MS);
    else if (status !== 200) throw new Error(`${url} answered ${status}: ${body}`);
  };
  try {
    return await repeatWork(sendOk, { concurrency, seconds, ...(perSecond && { perSecond }) });
  } finally {
    await close();
  }
}

/** How often each status was answered to so many uploads at once. */
export async function sendBurst(url: string, image: Buffer, count: number) {
  const { send, close } = await openCallers(url, image, count);
  const answers = await Promise.all(Array.from({ length: count }, send));
  await close();
  const statuses = new Map<number, number>();
  for (const { status } of answers) statuses.set(status, (statuses.get(status) ?? 0) + 1);
  return statuses;
}

async function openCallers(url: string, image: Buffer, connections: number) {
  const pool = new Pool(url, { connections });
  const { body, type } = await encodeUpload(image);
  const headers = { ...credentials, 'content-type': type };
  return {
    send: async () => {
      const response = await pool.request({ path: PATH, method: 'POST', headers, body });
      return { status: response.statusCode, body: await response.body.text() };
    },
    close: () => pool.destroy(),
  };
}

async function encodeUpload(image: Buffer): Promise<{ body: Buffer; type: string }> {
  const form = new FormData();
  form.set('image', new Blob([Uint8Array.from(image)]), 'selfie.jpg');
  const encoded = new Response(form);
  const type = encoded.headers.get('content-type') ?? '';
  return { body: Buffer.from(await encoded.arrayBuffer()), type };
}
