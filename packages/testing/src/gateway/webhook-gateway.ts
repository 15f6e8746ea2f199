import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type CheckRecord, createLeases } from '@livegate/core/domain';
import { createRedisRateLimiter } from '@livegate/core/redis';
import type { Log } from '@livegate/core/telemetry';
import { Queue, QueueEvents } from 'bullmq';
import express from 'express';
import { pino } from 'pino';
import { expect, onTestFinished, vi } from 'vitest';
import { authenticate } from '../../../../apps/api/src/credentials/authenticate.js';
import {
  type Credential,
  developmentCredential,
} from '../../../../apps/api/src/credentials/credential-book.js';
import { webhookRoutes } from '../../../../apps/api/src/gateway/server.js';
import { handleError, refusePath } from '../../../../apps/api/src/http/answer-errors.js';
import { closeHttpServer, createHttpServer } from '../../../../apps/api/src/http/http-server.js';
import { identifyRequest } from '../../../../apps/api/src/http/identify-request.js';
import { parseAddressRanges } from '../../../../apps/api/src/webhooks/address-guard.js';
import type { WebhookRoutesDeps } from '../../../../apps/api/src/webhooks/delivery-routes.js';
import { openWebhooks } from '../../../../apps/api/src/webhooks/open-webhooks.js';
import { connectWorker, openSandbox } from '../redis/sandbox.js';
import { defaultAuth } from './caller.js';

/** The development credential, another tenant's, and one without permission to manage webhooks. */
const credentials: Credential[] = [
  developmentCredential,
  { ...developmentCredential, tenant: 'other', username: 'other' },
  { ...developmentCredential, username: 'restricted', permissions: ['passive-liveness'] },
];

export const authOf = (username: string) => ({
  ...defaultAuth,
  Authorization: `Basic ${btoa(`${username}:default-password`)}`,
});

export interface Call {
  body?: unknown;
  headers?: Record<string, string>;
}

/** The management routes over HTTP on loopback. Closed after the test. */
export async function serveWebhookRoutes(deps: WebhookRoutesDeps) {
  const book = {
    find: (name: string) => credentials.find(({ username }) => username === name),
    weightOf: () => 1,
    close() {},
  };
  const app = express();
  app.use(identifyRequest);
  app.use(webhookRoutes(deps, [authenticate(book, 'webhook-endpoints')]));
  app.use(refusePath);
  app.use(handleError);
  const server = createHttpServer(app, {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    server.closeAllConnections();
    await closeHttpServer(server);
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  /** Fails if the answer is not JSON. */
  return async (method: string, path: string, { body, headers }: Call = {}) => {
    const json = typeof body === 'string' ? body : JSON.stringify(body);
    const response = await fetch(url + path, {
      method,
      headers: {
        ...defaultAuth,
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: json }),
    });
    return { response, status: response.status, body: await response.json() };
  };
}

/** The webhooks of one gateway on real Redis, with checks that the test controls. */
export async function startWebhooks() {
  const sandbox = await openSandbox();
  const { redis, keys } = sandbox;
  const backgroundRedis = connectWorker('test-webhooks');
  const checks = new Map<string, CheckRecord>();
  const outage = { checks: false };
  const writes = [redis, backgroundRedis].map((client) => vi.spyOn(client, 'hset'));
  const leases = createLeases();
  const attempts = createEvents<{ status: string }>();

  const webhooks = openWebhooks(
    {
      httpsOnly: false,
      allowedAddresses: parseAddressRanges('127.0.0.1'),
      maxPending: 50_000,
    },
    {
      redis,
      backgroundRedis,
      keys,
      rateLimiter: createRedisRateLimiter(redis, keys),
      checks: {
        async read(id) {
          if (outage.checks) throw new Error('the checks cannot be read');
          return checks.get(id);
        },
      },
      settleSession: async () => undefined,
      leases,
      log: logTo((line) => {
        if (line.msg === 'webhook attempted') attempts.push({ status: line.status ?? '' });
      }),
    },
  );
  const queue = new Queue('webhooks', { connection: redis, prefix: keys.prefix });
  const eventsRedis = connectWorker('test-events');
  const queueEvents = new QueueEvents('webhooks', {
    connection: eventsRedis,
    prefix: keys.prefix,
    // From the first event, even if it is older than this reader.
    lastEventId: '0',
  });
  await queueEvents.waitUntilReady();
  // The product's queues keep no events, a setting that each queue writes once when it opens.
  await expect.poll(() => writes.every(({ mock }) => mock.calls.length > 0)).toBe(true);
  await Promise.all(writes.flatMap(({ mock }) => mock.results.map(({ value }) => value)));
  await redis.hset(`${keys.prefix}:webhooks:meta`, 'opts.maxLenEvents', 10_000);
  const delayed = createEvents<string>();
  queueEvents.on('delayed', ({ jobId }) => delayed.push(jobId));

  onTestFinished(async () => {
    await webhooks.stop();
    await webhooks.close();
    await queueEvents.close();
    await queue.close();
    eventsRedis.disconnect();
    backgroundRedis.disconnect();
    await sandbox.close();
  });
  const call = await serveWebhookRoutes(webhooks.routes);
  return {
    ...sandbox,
    webhooks,
    call,
    checks,
    outage,
    leases,
    queue,
    /** Status of each delivery after each attempt, in order. */
    attempts,
    /** Ids of the jobs that were delayed, in order. */
    delayed,
    async createEndpoint(url: string, events = ['passive_liveness.completed']) {
      const { body } = await call('POST', '/v1/webhook-endpoints', { body: { url, events } });
      return body as { id: string; secret: string };
    },
  };
}

export interface ReceivedMessage {
  headers: Record<string, string>;
  body: string;
  res: ServerResponse;
}

/** A webhook receiver on loopback. The test itself answers each message. */
export async function startReceiver() {
  const messages = createEvents<ReceivedMessage>();
  async function receive(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const headers = req.headers as Record<string, string>;
    messages.push({ headers, body: await readBody(req), res });
  }
  const server = createServer((req, res) => void receive(req, res));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
  return {
    url,
    messages,
    /** Answers the next message and returns it. */
    async take(statusCode: number): Promise<ReceivedMessage> {
      const message = await messages.take();
      message.res.writeHead(statusCode).end();
      return message;
    },
  };
}

/** A queue of events: `take` returns the next one, or waits for it. */
export function createEvents<T>() {
  const happened: T[] = [];
  const waiting: ((event: T) => void)[] = [];
  return {
    get pending() {
      return happened.length;
    },
    push(event: T) {
      const next = waiting.shift();
      if (next) next(event);
      else happened.push(event);
    },
    async take(): Promise<T> {
      const [event] = happened.splice(0, 1);
      return event ?? new Promise((resolve) => waiting.push(resolve));
    },
  };
}

function logTo(write: (line: { msg: string; status?: string }) => void): Log {
  return pino({}, { write: (line) => write(JSON.parse(line) as { msg: string }) });
}

async function readBody(req: IncomingMessage): Promise<string> {
  let body = '';
  for await (const chunk of req) body += String(chunk);
  return body;
}
