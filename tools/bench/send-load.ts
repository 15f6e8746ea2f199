import { Agent, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
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
 */
export async function sendLoad(url: string, load: Load): Promise<Rate> {
  const { connections: concurrency, seconds, perSecond } = load;
  const send = await createSender(url, load.image, concurrency);
  const sendOk = async () => {
    const { status, body } = await send();
    if (status === 503 && load.mayRefuse) await sleep(RETRY_MS);
    else if (status !== 200) throw new Error(`${url} answered ${status}: ${body}`);
  };
  return await repeatWork(sendOk, { concurrency, seconds, ...(perSecond && { perSecond }) });
}

/** How often each status was answered to so many uploads at once. */
export async function sendBurst(url: string, image: Buffer, count: number) {
  const send = await createSender(url, image, count);
  const answers = await Promise.all(Array.from({ length: count }, send));
  const statuses = new Map<number, number>();
  for (const { status } of answers) statuses.set(status, (statuses.get(status) ?? 0) + 1);
  return statuses;
}

async function createSender(url: string, image: Buffer, maxSockets: number) {
  const agent = new Agent({ keepAlive: true, maxSockets });
  const { body, type } = await encodeUpload(image);
  const headers = { ...credentials, 'content-type': type, 'content-length': body.length };
  return () =>
    new Promise<{ status: number; body: string }>((resolve, reject) => {
      request(`${url}${PATH}`, { method: 'POST', agent, headers }, (response) => {
        const status = response.statusCode ?? 0;
        text(response).then((answer) => resolve({ status, body: answer }), reject);
      })
        .once('error', reject)
        .end(body);
    });
}

async function encodeUpload(image: Buffer): Promise<{ body: Buffer; type: string }> {
  const form = new FormData();
  form.set('image', new Blob([Uint8Array.from(image)]), 'selfie.jpg');
  const encoded = new Response(form);
  const type = encoded.headers.get('content-type') ?? '';
  return { body: Buffer.from(await encoded.arrayBuffer()), type };
}
