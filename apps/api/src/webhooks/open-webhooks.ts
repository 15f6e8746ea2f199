import type { Leases } from '@livegate/core/domain';
import type { AnnouncedCheck, CheckQueue, RateLimiter } from '@livegate/core/ports';
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
  createAnnounceCheck,
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

/** Of everything an attempt takes; stopping may take as long. */
export const ATTEMPT_LIMIT_MS = 15_000;

export interface WebhooksOptions {
  /** Plain http is for development. */
  httpsOnly: boolean;
  /** May be called although they are not public. */
  allowedAddresses: AddressRange[];
}

export interface WebhooksDeps {
  /** For requests: fails at once while Redis is away. */
  redis: Redis;
  /** For deliveries: waits until Redis is back. */
  backgroundRedis: Redis;
  keys: Keys;
  checks: Pick<CheckQueue, 'read'>;
  leases: Leases;
  rateLimiter: RateLimiter;
  log: Log;
}

export interface Webhooks {
  /** For `webhookRoutes`. */
  routes: WebhookRoutesDeps;
  acceptUrl: AcceptWebhookUrl;
  hasEndpoints: HasEndpoints;
  /** Of announcements and deliveries. */
  bullQueue: BullQueue;
  /** What is on its way, for metrics. */
  readBacklog: ReadBacklog;
  /** Tells of a check that ended here, by cancellation. */
  announce(check: AnnouncedCheck): Promise<void>;
  delete: DeleteMessages;
  /** Takes no more from the queue, and waits for the attempts under way: 15 s at most. */
  stop(): Promise<void>;
  /** After `stop`, and after the last request. Both connections stay open. */
  close(): Promise<void>;
}

/** The webhooks of one gateway: what its routes need, and the delivery of messages. */
export function openWebhooks(options: WebhooksOptions, deps: WebhooksDeps): Webhooks {
  const { redis, backgroundRedis, keys, checks, leases, rateLimiter, log } = deps;
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
      announce: createAnnounceCheck({ ...background, checks, now }),
      deliver: createDeliverMessage({ ...background, send, now, random: Math.random, log }),
      resume: createResumeDelivery(background),
    },
  );

  return {
    routes: { store, queue, urlRules, rateLimiter, now },
    acceptUrl: createAcceptWebhookUrl(urlRules, store),
    hasEndpoints: createHasEndpoints(store),
    announce: (check) => queue.announce(check),
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
