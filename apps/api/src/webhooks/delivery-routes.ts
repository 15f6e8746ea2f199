import { randomUUID } from 'node:crypto';
import {
  createDelivery,
  type Delivery,
  deliveryIdOf,
  LivegateError,
  replayDelivery,
  type WebhookEndpoint,
} from '@livegate/core/domain';
import type { RateLimiter, WebhookQueue, WebhookStore } from '@livegate/core/ports';
import type { RequestHandler, Response } from 'express';
import { presentDelivery } from '../contract/webhooks.js';
import { type EndpointHandlersDeps, readEndpoint, requireFound } from './endpoint-routes.js';

/** Limits tests and replays per tenant: an endpoint may be a server that never asked for messages. */
const SENDS_PER_MINUTE = 60;
/** Pending messages to an endpoint that answers again leave within minutes. */
const RETRY_AFTER_SECONDS = 60;

export interface DeliveryHandlersDeps {
  store: WebhookStore;
  queue: WebhookQueue;
  rateLimiter: RateLimiter;
  /** The most pending messages to one endpoint. */
  maxPending: number;
  now: () => number;
}

/** The dependencies of all routes that manage webhooks. */
export type WebhookRoutesDeps = EndpointHandlersDeps & DeliveryHandlersDeps;

/** The handlers of an endpoint's delivery log, tests and replays. */
export function createDeliveryHandlers(deps: DeliveryHandlersDeps) {
  const { store, queue, rateLimiter, maxPending, now } = deps;
  /** Throws `rate_limited`. The key cannot equal a tenant's own: no tenant name contains a colon. */
  const limitSends = ({ locals }: Response) =>
    rateLimiter.consume(`webhook-sends:${locals.credential.tenant}`, SENDS_PER_MINUTE);

  /** Throws `rate_limited`: beyond the limit, messages about checks fail. */
  async function requireRoom({ id, tenant }: WebhookEndpoint): Promise<void> {
    const pending = await store.countPending({ tenant, target: { endpointId: id } });
    if (pending < maxPending) return;
    throw new LivegateError('rate_limited', {
      publicMessage: `${pending} messages to this endpoint are pending, at most ${maxPending} may be`,
      retryAfterSeconds: RETRY_AFTER_SECONDS,
    });
  }

  return {
    list: async (req, res) => {
      const { id } = await readEndpoint(store, req, res);
      const deliveries = await store.listDeliveries(id);
      res.json({ deliveries: deliveries.map(presentDelivery) });
    },
    sendTest: async (req, res) => {
      await limitSends(res);
      const endpoint = await readEndpoint(store, req, res);
      await requireRoom(endpoint);
      const test = createTest(endpoint, now());
      await store.addDelivery(test);
      await queue.deliver(test);
      res.status(202).json(presentDelivery(test));
    },
    replay: async (req, res) => {
      await limitSends(res);
      const endpoint = await readEndpoint(store, req, res);
      const found = await store.readDelivery(String(req.params['delivery']));
      const { id } = requireFound(found && isTo(endpoint, found) ? found : undefined);
      // A pending one is only sent earlier.
      if (found?.status !== 'pending') await requireRoom(endpoint);
      const replayed = requireFound(
        await store.updateDelivery(id, (latest) => replayDelivery(latest, now())),
      );
      await queue.deliverNow(replayed);
      res.status(202).json(presentDelivery(replayed));
    },
  } satisfies Record<string, RequestHandler>;
}

function createTest({ id, tenant }: WebhookEndpoint, now: number): Delivery {
  const target = { endpointId: id };
  const type = 'webhook.test';
  const timestamp = new Date(now).toISOString();
  return createDelivery({
    id: deliveryIdOf(randomUUID(), target),
    tenant,
    target,
    type,
    payload: JSON.stringify({ type, timestamp, data: { endpoint_id: id } }),
    createdAt: now,
  });
}

function isTo(endpoint: WebhookEndpoint, { tenant, target }: Delivery): boolean {
  return tenant === endpoint.tenant && 'endpointId' in target && target.endpointId === endpoint.id;
}
