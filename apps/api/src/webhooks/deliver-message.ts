import {
  activeSecrets,
  type Delivery,
  type DeliveryAttempt,
  type DeliveryFailure,
  disableEndpoint,
  failDelivery,
  recordAttempt,
  type WebhookSecret,
} from '@livegate/core/domain';
import type { Monitoring, WebhookQueue, WebhookStore } from '@livegate/core/ports';
import type { Log } from '@livegate/core/telemetry';
import { createObserveAttempts, outcomeOf } from '../telemetry/observe-attempts.js';
import type { SendMessage } from './send-message.js';

export interface DeliverMessageDeps {
  store: WebhookStore;
  send: SendMessage;
  now: () => number;
  /** Tells operators which receivers fail. */
  noteAttempt?: Monitoring['noteAttempt'] | undefined;
  /** In 0..1: the jitter of the schedule. */
  random: () => number;
  log: Log;
}

/** Resolves with the time of the next attempt; `undefined` if none follows. */
export type DeliverMessage = (deliveryId: string) => Promise<number | undefined>;

/** Makes one attempt, unless the delivery has ended, and records it in the delivery. */
export function createDeliverMessage(deps: DeliverMessageDeps): DeliverMessage {
  const { store, send, now, random, log } = deps;
  const attempts = createObserveAttempts();

  return async (deliveryId) => {
    const delivery = await store.readDelivery(deliveryId);
    if (delivery?.status !== 'pending') return undefined;
    const receiver = await findReceiver(delivery, store);
    if (typeof receiver === 'string') {
      await store.updateDelivery(deliveryId, (latest) => failDelivery(latest, receiver));
      attempts.givenUp(receiver);
      return undefined;
    }
    // Its check may have been deleted while the receiver was looked up in a slow Redis.
    if ((await store.readDelivery(deliveryId))?.status !== 'pending') return undefined;
    const { id, payload } = delivery;
    const secrets = activeSecrets(receiver.secrets, now()).map(({ secret }) => secret);
    const { url } = receiver;
    const attempt = await attempts.around(delivery, () => send({ id, payload, url, secrets }));
    return conclude(delivery, attempt);
  };

  async function conclude(delivery: Delivery, attempt: DeliveryAttempt) {
    const { id, tenant, target } = delivery;
    const jitter = random();
    const recorded = await store.updateDelivery(id, (latest) =>
      recordAttempt(latest, attempt, jitter),
    );
    attempts.concluded(attempt, recorded);
    const endpoint = 'endpointId' in target ? target.endpointId : 'webhook_url';
    await deps.noteAttempt?.({ tenant, endpoint, outcome: outcomeOf(attempt) }).catch(ignore);
    if (recorded?.failure === 'endpoint_gone' && 'endpointId' in target) {
      const at = { tenant, id: target.endpointId };
      await store.updateEndpoint(at, (latest) => disableEndpoint(latest, 'gone'));
    }
    // Without URL and excerpt: both are the tenant's and may contain secrets.
    const { statusCode, error, latencyMs } = attempt;
    const facts = { deliveryId: id, tenant, statusCode, error, latencyMs };
    log.info({ ...facts, status: recorded?.status }, 'webhook attempted');
    return recorded?.nextAttemptAt;
  }
}

/** The delivery itself is recorded, and the next attempt is noted again. */
const ignore = () => undefined;

interface Receiver {
  url: string;
  secrets: WebhookSecret[];
}

/** The current URL and secrets, not those at the creation of the message; or why there are none. */
async function findReceiver(
  { tenant, target }: Delivery,
  store: WebhookStore,
): Promise<Receiver | DeliveryFailure> {
  if ('url' in target) {
    const secrets = await store.readTenantSecrets(tenant);
    return secrets.length > 0 ? { url: target.url, secrets } : 'secret_missing';
  }
  const endpoint = await store.readEndpoint({ tenant, id: target.endpointId });
  if (!endpoint) return 'endpoint_deleted';
  return endpoint.enabled ? endpoint : 'endpoint_disabled';
}

/** Queues a delivery again if it is pending. */
export function createResumeDelivery(deps: { store: WebhookStore; queue: WebhookQueue }) {
  return async (deliveryId: string): Promise<void> => {
    const delivery = await deps.store.readDelivery(deliveryId);
    if (delivery?.status === 'pending') await deps.queue.deliver(delivery);
  };
}
