import type { Leases } from '@livegate/core/domain';
import type { AnnouncedCheck, CheckQueue, Monitoring, RateLimiter } from '@livegate/core/ports';
import {
  type BullQueue,
  createRedisWebhookQueue,
  createRedisWebhookStore,
  type Keys,
  type ReadBacklog,
  type Redis,
} from '@livegate/core/redis';
import type { Log } from '@livegate/core/telemetry';
import type { WebhookRoutesDeps } from './delivery-routes.js';
import { type AddressRange, createAddressGuard } from './address-guard.js';
import {
  type AnnounceCheckDeps,
  type AnnounceEvent,
  createAnnounceCheck,
  createAnnounceEvent,
  createDeleteMessages,
  type DeleteMessages,
} from './announce-check.js';
import { createDeliverMessage, createResumeDelivery } from './deliver-message.js';
import { createSendMessage } from './send-message.js';
import { takeDeliveries } from './take-deliveries.js';
import {
  type AcceptWebhookUrl,
  createAcceptWebhookUrl,
  createHasEndpoints,
  type HasEndpoints,
} from './webhook-url.js';

/** Timeout of a whole attempt; stopping can take as long. */
export const ATTEMPT_LIMIT_MS = 15_000;

export interface WebhooksOptions {
  /** Plain http is for development. */
  httpsOnly: boolean;
  /** Callable although they are not public. */
  allowedAddresses: AddressRange[];
  /** The most pending messages to one endpoint, or to all URLs of one tenant's checks. */
  maxPending: number;
}

export interface WebhooksDeps {
  /** For requests: fails at once while Redis is down. */
  redis: Redis;
  /** For deliveries: waits until Redis is back. */
  backgroundRedis: Redis;
  keys: Keys;
  checks: Pick<CheckQueue, 'read'>;
  settleSession: AnnounceCheckDeps['settleSession'];
  leases: Leases;
  rateLimiter: RateLimiter;
  noteAttempt?: Monitoring['noteAttempt'] | undefined;
  log: Log;
}

export interface Webhooks {
  /** For `webhookRoutes`. */
  routes: WebhookRoutesDeps;
  acceptUrl: AcceptWebhookUrl;
  hasEndpoints: HasEndpoints;
  /** The queue of announcements and deliveries. */
  bullQueue: BullQueue;
  /** The unfinished jobs of the queue, for metrics. */
  readBacklog: ReadBacklog;
  /** Queues the announcement of a check that this gateway canceled. */
  announce(check: AnnouncedCheck): Promise<void>;
  /** Queues the messages about anything else. */
  announceEvent: AnnounceEvent;
  delete: DeleteMessages;
  /** Takes no more jobs, and waits for running attempts: at most 15 s. */
  stop(): Promise<void>;
  /** After `stop`, and after the last request. Both connections stay open. */
  close(): Promise<void>;
}

/** The webhooks of one gateway: what its routes need, and the delivery of messages. */
export function openWebhooks(options: WebhooksOptions, deps: WebhooksDeps): Webhooks {
  const { redis, backgroundRedis, keys, checks, settleSession, leases, rateLimiter, log } = deps;
  const { noteAttempt } = deps;
  const { maxPending } = options;
  const guard = createAddressGuard(options.allowedAddresses);
  const urlRules = { httpsOnly: options.httpsOnly, guard };
  const store = createRedisWebhookStore(redis, keys);
  const queue = createRedisWebhookQueue(redis, keys);
  const background = {
    store: createRedisWebhookStore(backgroundRedis, keys),
    queue: createRedisWebhookQueue(backgroundRedis, keys),
  };

  const now = Date.now;
  const send = createSendMessage({ urlRules, limitMs: ATTEMPT_LIMIT_MS, now, log });
  const deliveries = takeDeliveries(
    { redis: backgroundRedis, keys, leases, log },
    {
      announce: createAnnounceCheck({ ...background, checks, settleSession, maxPending, now }),
      deliver: createDeliverMessage({
        ...background,
        send,
        now,
        noteAttempt,
        random: Math.random,
        log,
      }),
      resume: createResumeDelivery(background),
    },
  );

  return {
    routes: { store, queue, urlRules, rateLimiter, maxPending, now },
    acceptUrl: createAcceptWebhookUrl(urlRules, store),
    hasEndpoints: createHasEndpoints(store),
    announce: (check) => queue.announce(check),
    announceEvent: createAnnounceEvent({ store, queue, maxPending, now }),
    delete: createDeleteMessages({ store, queue }),
    bullQueue: queue.bullQueue,
    readBacklog: queue.readBacklog,
    stop: () => deliveries.close(),
    async close() {
      await queue.close();
      await background.queue.close();
    },
  };
}
