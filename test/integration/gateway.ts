import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { CheckOutcome, WorkerFacts } from '@livegate/core';
import {
  createFakeCheckQueue,
  createFakeImageStore,
  createFakeRateLimiter,
  createFakeReplies,
  createFakeWorkerRegistry,
  exampleResult,
  exampleWorker,
  type Outage,
} from '@livegate/core/testing';
import { pino } from 'pino';
import { onTestFinished } from 'vitest';
import {
  developmentCredential,
  type Credential,
} from '../../apps/api/src/credentials/credential-file.js';
import { watchFleet } from '../../apps/api/src/fleet.js';
import { closeHttpServer, createHttpServer } from '../../apps/api/src/http-server.js';
import { createServer, type ServerOptions } from '../../apps/api/src/server.js';
import { createSubmitCheck } from '../../apps/api/src/submit-check.js';

export interface GatewayTestOptions extends Partial<ServerOptions> {
  /** What the fake worker makes of every check; `never` leaves it waiting. */
  outcome?: CheckOutcome | 'never';
  credentials?: Credential[];
  workers?: WorkerFacts[];
  maxWaiting?: number;
  uploadTimeoutMs?: number;
  /** Lines of the log, as they come. */
  onLog?: (line: string) => void;
}

/** The real gateway, over HTTP on loopback, with fakes behind its ports. Closed after the test. */
export async function startGateway(options: GatewayTestOptions = {}) {
  const outage: Outage = { away: false };
  const { credentials = [developmentCredential], outcome = { result: exampleResult } } = options;
  const imageStore = createFakeImageStore(outage);
  const fakeReplies = createFakeReplies();
  const fakeQueue = createFakeCheckQueue(outage);
  const queue = {
    ...fakeQueue,
    async add(...[id, job]: Parameters<typeof fakeQueue.add>) {
      await fakeQueue.add(id, job);
      if (outcome !== 'never') await fakeReplies.outbox.send(job.replyTo, id, outcome);
    },
  };
  const registry = createFakeWorkerRegistry(outage);
  for (const worker of options.workers ?? [exampleWorker]) await registry.announce(worker);

  const log = pino({}, { write: options.onLog ?? (() => undefined) });
  const fleet = await watchFleet({ queue, registry, maxWaiting: options.maxWaiting ?? 1000, log });
  const server = createHttpServer(
    createServer(
      {
        limits: { maxImageBytes: 10 * 1024 * 1024, maxImagePixels: 50_000_000 },
        waitLimitMs: 5000,
        rateLimitPerMinute: 0,
        publicUrl: undefined,
        ...options,
      },
      {
        credentials: { find: (name) => credentials.find((c) => c.username === name), close() {} },
        rateLimiter: createFakeRateLimiter(outage),
        fleet,
        submitCheck: createSubmitCheck({
          imageStore,
          queue,
          replies: fakeReplies.createInbox('gateway'),
        }),
        log,
        isClosing: () => false,
      },
    ),
    options.uploadTimeoutMs ?? 30_000,
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    fleet.close();
    server.closeAllConnections();
    await closeHttpServer(server);
  });
  const { port } = server.address() as AddressInfo;
  return { port, url: `http://127.0.0.1:${port}`, outage, queue, imageStore };
}

export const path = '/face/v1/passive-liveness';

export const defaultAuth = {
  Authorization: `Basic ${Buffer.from('default-username:default-password').toString('base64')}`,
  'x-api-key': 'default-api-key',
};

/** A multipart body with one file part for each given image. */
export function formOf(...images: Uint8Array[]): FormData {
  const form = new FormData();
  for (const image of images) form.append('image', new Blob([Uint8Array.from(image)]), 'blob');
  return form;
}

export type Body = NonNullable<RequestInit['body']> | null;

/** Posts like an SDK and reads the answer; every answer must be JSON. */
export async function post(url: string, body: Body, headers: Record<string, string> = {}) {
  const response = await fetch(url + path, {
    method: 'POST',
    headers: { ...defaultAuth, ...headers },
    body,
  });
  return { response, status: response.status, body: await response.json() };
}
