import type { Redis } from 'ioredis';
import { expect } from 'vitest';

export interface Answer {
  status: number;
  requestId: string;
  /** In seconds; 0 if the answer names no time. */
  retryAfter: number;
  body: {
    status: string;
    result: { spoof_percentage: number; status: string };
    error_code?: string;
  };
}

/** Headers with the credentials of the development tenant. */
export const credentials = {
  Authorization: `Basic ${Buffer.from('default-username:default-password').toString('base64')}`,
  'x-api-key': 'default-api-key',
};

/** Posts one image as the development tenant. Every answer must be JSON. */
export async function postImage(
  baseUrl: string,
  image: Uint8Array,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const body = new FormData();
  body.set('image', new Blob([Uint8Array.from(image)]));
  const url = `${baseUrl}/face/v1/passive-liveness`;
  const response = await fetch(url, {
    method: 'POST',
    headers: { ...credentials, ...headers },
    body,
  });
  return {
    status: response.status,
    requestId: response.headers.get('request-id') ?? '',
    retryAfter: Number(response.headers.get('retry-after')),
    body: (await response.json()) as Answer['body'],
  };
}

/** Any other request as the development tenant. */
export async function ask(
  url: string,
  init: { method?: string; headers?: Record<string, string>; body?: string } = {},
) {
  const response = await fetch(url, { ...init, headers: { ...credentials, ...init.headers } });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

/**
 * Resolves with the id of the only queued check once the gateway knows that it is queued, which Redis
 * knows before: the gateway reads the answers of Redis in the order of its commands.
 */
export async function untilQueued(
  baseUrl: string,
  client: Pick<Redis, 'zrange'>,
  prefix: string,
): Promise<string> {
  const queued = () => client.zrange(`${prefix}:liveness:prioritized`, '0', '-1');
  await expect.poll(queued, { timeout: 30_000 }).toHaveLength(1);
  const [id = ''] = await queued();
  const { status } = await ask(`${baseUrl}/v1/jobs/${id}`);
  if (status !== 200) throw new Error(`the gateway answers ${status} for job ${id}`);
  return id;
}
