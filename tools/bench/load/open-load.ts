import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';
import { encodeUpload, PATH } from '../product.js';
import { percentile } from '../rounds.js';

export interface OpenLoad {
  image: Buffer;
  /** Of the tenant. */
  headers: Record<string, string>;
  /** Requests that begin in a second, whatever the earlier ones do. */
  perSecond: number;
  seconds: number;
  /** A caller hangs up after this time. */
  hangUpAfterMs: number;
}

/** An answer, or the end of the caller's wait. Times are of `performance.now()`. */
export interface Answer {
  /** 0 for a caller who hung up, or whose connection broke. */
  status: number;
  sentAt: number;
  ms: number;
}

/** Enough connections for five seconds of checks and the pending refusals. */
const CONNECTIONS = 1500;

/** Sends requests at a steady rate, like callers who do not know of each other. */
export async function sendOpenLoad(url: string, load: OpenLoad): Promise<Answer[]> {
  const { perSecond, seconds, hangUpAfterMs } = load;
  const { body, type } = await encodeUpload(load.image);
  const headers = { ...load.headers, 'content-type': type };
  const pool = new Pool(url, { connections: CONNECTIONS });
  const started = performance.now();
  const answers: Promise<Answer>[] = [];
  const send = async (): Promise<Answer> => {
    const sentAt = performance.now();
    const signal = AbortSignal.timeout(hangUpAfterMs);
    const status = await pool
      .request({ path: PATH, method: 'POST', headers, body, signal })
      .then(async (response) => {
        await response.body.dump();
        return response.statusCode;
      })
      .catch(() => 0);
    return { status, sentAt, ms: performance.now() - sentAt };
  };
  for (let sent = 0; sent < perSecond * seconds; sent++) {
    const waitMs = started + (1000 * sent) / perSecond - performance.now();
    if (waitMs > 0) await sleep(waitMs);
    answers.push(send());
  }
  const all = await Promise.all(answers);
  await pool.destroy();
  return all;
}

export function latencies(answers: Answer[], status: number): number[] {
  return answers.filter((answer) => answer.status === status).map(({ ms }) => ms);
}

/** The p99 of the answers with this status; 0 without any. */
export function p99(answers: Answer[], status: number): number {
  const times = latencies(answers, status);
  return times.length === 0 ? 0 : percentile(times, 0.99);
}
