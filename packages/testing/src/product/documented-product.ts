import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { createKeys } from '@livegate/core/redis';
import { Redis } from 'ioredis';
import { developmentCredential } from '../../../../apps/api/src/credentials/credential-book.js';
import { createOwnRedis } from '../redis/own-redis.js';
import { writeCredentials } from './credentials-file.js';
import { createEnv, startApi, startWorker, untilReady } from './processes.js';

/** Tenants named after their special feature. All have the development password and API key. */
const credentials = [
  developmentCredential,
  { ...developmentCredential, tenant: 'idle', username: 'idle', permissions: [] },
  { ...developmentCredential, tenant: 'fresh', username: 'fresh' },
  {
    ...developmentCredential,
    tenant: 'limited',
    username: 'limited',
    rate_limit_per_minute: 1,
    other_requests_per_minute: 1,
  },
];

export const authOf = (username: string) => ({
  authorization: `Basic ${btoa(`${username}:default-password`)}`,
  'x-api-key': 'default-api-key',
});

export interface ReceivedMessage {
  headers: IncomingHttpHeaders;
  body: { type: string };
}

/**
 * Starts a gateway, a second gateway (`narrow`) with a short upload timeout and room for one waiting
 * check, a worker, a Redis of their own, and a webhook receiver.
 */
export async function startDocumentedProduct() {
  const redis = await createOwnRedis();
  const { file, remove } = await writeCredentials(credentials);
  const env = createEnv({
    REDIS_URL: redis.url,
    LIVEGATE_CREDENTIALS_FILE: file,
    LIVEGATE_WEBHOOK_ALLOWED_ADDRESSES: '127.0.0.1',
  });
  const narrowEnv = { LIVEGATE_UPLOAD_TIMEOUT_MS: '1000', LIVEGATE_MAX_WAITING_CHECKS: '1' };
  const [worker, api, narrow] = await Promise.all([
    startWorker(env),
    startApi(env),
    startApi({ ...env, ...narrowEnv }),
  ]);
  await Promise.all([untilReady(api.url), untilReady(narrow.url)]);
  const client = new Redis(redis.url);
  const receiver = await startReceiver();

  return {
    api,
    narrow,
    redis,
    client,
    receiver,
    keys: createKeys(env['LIVEGATE_KEY_PREFIX'] ?? ''),
    freezeWorker: () => worker.child.kill('SIGSTOP'),
    thawWorker: () => worker.child.kill('SIGCONT'),
    async stop() {
      worker.child.kill('SIGCONT');
      await Promise.all([api, narrow, worker].map((process) => process.stop('SIGKILL')));
      client.disconnect();
      receiver.close();
      await redis.remove();
      await remove();
    },
  };
}

export type DocumentedProduct = Awaited<ReturnType<typeof startDocumentedProduct>>;

async function startReceiver() {
  const messages: ReceivedMessage[] = [];
  const server = createServer((req, res) => void receive(req).then(() => res.end('{}')));
  async function receive(req: IncomingMessage): Promise<void> {
    const body = (await json(req)) as ReceivedMessage['body'];
    messages.push({ headers: req.headers, body });
  }
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/hook`,
    messages,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
