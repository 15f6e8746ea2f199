import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { promisify } from 'node:util';
import { type CheckOutcome, createLeases, type WorkerFacts } from '@livegate/core/domain';
import type { RateLimiter } from '@livegate/core/ports';
import {
  createFakeCheckQueue,
  createFakeIdempotencyKeys,
  createFakeImageStore,
  createFakeRateLimiter,
  createFakeReplies,
  createFakeSessionStore,
  createFakeWebhookQueue,
  createFakeWebhookStore,
  createFakeWorkerRegistry,
  exampleResult,
  exampleWorker,
  type FakeCheckQueue,
  type Outage,
} from '../index.js';
import type { Router } from 'express';
import { pino } from 'pino';
import { onTestFinished } from 'vitest';
import { openAdmission } from '../../../../apps/api/src/admission/admission.js';
import { createAwaitCheck } from '../../../../apps/api/src/checks/await-check.js';
import { createCancelAndDelete } from '../../../../apps/api/src/checks/end-check.js';
import { createClaimKey } from '../../../../apps/api/src/checks/claim-key.js';
import { createSubmitCheck } from '../../../../apps/api/src/checks/submit-check.js';
import {
  type Credential,
  developmentCredential,
} from '../../../../apps/api/src/credentials/credential-book.js';
import {
  createServer,
  type ServerDeps,
  type ServerOptions,
} from '../../../../apps/api/src/gateway/server.js';
import {
  closeHttpServer,
  createHttpServer,
  type HttpLimits,
} from '../../../../apps/api/src/http/http-server.js';
import { createUploadPermits } from '../../../../apps/api/src/http/upload/upload-permits.js';
import { createAddressGuard } from '../../../../apps/api/src/webhooks/address-guard.js';
import { openSessions } from '../../../../apps/api/src/sessions/open-sessions.js';
import {
  createAnnounceEvent,
  createDeleteMessages,
} from '../../../../apps/api/src/webhooks/announce-check.js';
import {
  createAcceptWebhookUrl,
  createHasEndpoints,
} from '../../../../apps/api/src/webhooks/webhook-url.js';

export interface GatewayTestOptions extends Partial<ServerOptions> {
  /** The outcome of every check; with `never` it stays in the queue. */
  outcome?: CheckOutcome | 'never';
  credentials?: Credential[];
  workers?: WorkerFacts[];
  maxWaiting?: number;
  maxQueueWaitMs?: number;
  maxAsyncWaitMs?: number;
  maxUploadBytesInFlight?: number;
  http?: Partial<HttpLimits>;
  rateLimiter?: RateLimiter;
  queueBoard?: Router;
  /** The operators' console. */
  console?: ServerDeps['console'];
  /** The clock of sessions, in milliseconds since the epoch. */
  now?: () => number;
  /** Called with each log line. */
  onLog?: (line: string) => void;
}

/** More than a test has messages. */
const MAX_PENDING = 1000;

/** The real gateway on loopback, with fakes for its ports. Closed after the test. */
export async function startGateway(options: GatewayTestOptions = {}) {
  const outage: Outage = { away: false };
  const { credentials = [developmentCredential], outcome = { result: exampleResult } } = options;
  const imageStore = createFakeImageStore(outage);
  const leases = createLeases();
  const fakeReplies = createFakeReplies(leases);
  const replies = fakeReplies.createInbox('gateway');
  const fakeQueue = createFakeCheckQueue(outage);
  /** How often the gateway has read a check, by which a test knows that it waits. */
  const reads = { count: 0 };
  const queue = Object.assign(Object.create(fakeQueue) as FakeCheckQueue, {
    async read(id: string) {
      reads.count += 1;
      return fakeQueue.read(id);
    },
    async add(...[id, job, rank]: Parameters<typeof fakeQueue.add>) {
      await fakeQueue.add(id, job, rank);
      if (outcome !== 'never') await finish(id, outcome);
    },
  });
  const registry = createFakeWorkerRegistry(outage);
  for (const worker of options.workers ?? [exampleWorker]) await registry.register(worker);

  /** Ends a check as a worker would. */
  async function finish(id: string, ended: CheckOutcome): Promise<void> {
    const job = queue.jobs.get(id);
    queue.finish(id, ended);
    if (job) await fakeReplies.outbox.send({ id, ...job }, ended);
    await imageStore.delete(id);
  }

  const webhookStore = createFakeWebhookStore(outage);
  const webhookQueue = createFakeWebhookQueue(webhookStore, outage);
  const urlRules = { httpsOnly: false, guard: createAddressGuard([]) };
  const webhooks = {
    routes: {
      store: webhookStore,
      queue: webhookQueue,
      urlRules,
      rateLimiter: createFakeRateLimiter(outage),
      maxPending: MAX_PENDING,
      now: Date.now,
    },
    acceptUrl: createAcceptWebhookUrl(urlRules, webhookStore),
    announce: webhookQueue.announce,
    announceEvent: createAnnounceEvent({
      store: webhookStore,
      queue: webhookQueue,
      maxPending: MAX_PENDING,
      now: Date.now,
    }),
    delete: createDeleteMessages({ store: webhookStore, queue: webhookQueue }),
  };

  const log = pino({}, { write: options.onLog ?? (() => undefined) });
  const admission = openAdmission({
    renew: async () => undefined,
    queue,
    registry,
    imageStore,
    settings: { findProblem: () => undefined },
    maxWaiting: options.maxWaiting ?? 1000,
    maxQueueWaitMs: options.maxQueueWaitMs ?? 5000,
    maxAsyncWaitMs: options.maxAsyncWaitMs ?? 30_000,
    weightOf: () => 1,
    redisTimeoutMs: 500,
    leases,
    log,
  });
  await admission.firstPoll;
  const uploads = createUploadPermits(options.maxUploadBytesInFlight ?? 256 * 1024 * 1024, leases);
  const awaitCheck = createAwaitCheck({ queue, replies });
  const idempotencyKeys = createFakeIdempotencyKeys(outage);
  const claimKey = createClaimKey({ queue, idempotencyKeys });
  const submitDeps = {
    imageStore,
    queue,
    replies,
    idempotencyKeys,
    claimKey,
    awaitCheck,
    hasEndpoints: createHasEndpoints(webhookStore),
  };
  const cancelAndDelete = createCancelAndDelete({ queue, imageStore, idempotencyKeys, webhooks });
  const sessions = createFakeSessionStore(outage);
  const rateLimiter = options.rateLimiter ?? createFakeRateLimiter(outage);
  const submitCheck = createSubmitCheck({ ...submitDeps, ...cancelAndDelete });
  const now = options.now ?? Date.now;
  const forSessions = { sessions, queue, webhooks, submitCheck, now, ...cancelAndDelete };
  const app = createServer(
    {
      limits: { maxImageBytes: 10 * 1024 * 1024, maxImagePixels: 52_000_000 },
      waitLimitMs: 5000,
      rateLimitPerMinute: 0,
      otherRequestsPerMinute: 0,
      publicUrl: undefined,
      sessions: { keepMs: 60_000, frameAncestors: "'none'", requestsPerAddress: 0 },
      ...options,
    },
    {
      credentials: {
        find: (name) => credentials.find((c) => c.username === name),
        weightOf: () => 1,
        close() {},
      },
      rateLimiter,
      queueBoard: options.queueBoard,
      console: options.console,
      admission,
      leases,
      uploads,
      queue,
      awaitCheck,
      webhooks,
      submitCheck,
      sessions,
      now,
      ...openSessions(forSessions),
      ...cancelAndDelete,
      log,
      isClosing: () => false,
    },
  );
  const server = createHttpServer(app, options.http ?? {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    admission.close();
    server.closeAllConnections();
    await closeHttpServer(server);
  });
  const { port } = server.address() as AddressInfo;
  return {
    app,
    port,
    url: `http://127.0.0.1:${port}`,
    outage,
    queue,
    reads,
    imageStore,
    idempotencyKeys,
    uploads,
    leases,
    webhookStore,
    sessions,
    finish,
    /** Connections that the server has open. */
    countConnections: promisify(server.getConnections.bind(server)),
  };
}
