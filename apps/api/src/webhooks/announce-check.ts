import {
  type CheckRecord,
  createDelivery,
  deliveryIdOf,
  type DeliveryTarget,
  eventOf,
  type WebhookEventType,
} from '@livegate/core/domain';
import type { AnnouncedCheck, CheckQueue, WebhookQueue, WebhookStore } from '@livegate/core/ports';
import { presentJob } from '../contract/present-check.js';

/** A check that takes longer than this is announced again when it ends. */
const GIVE_UP_MS = 10 * 60_000;
const MIN_WAIT_MS = 100;
const MAX_WAIT_MS = 10_000;

export interface AnnounceCheckDeps {
  checks: Pick<CheckQueue, 'read'>;
  store: WebhookStore;
  queue: WebhookQueue;
  now: () => number;
}

/** Resolves with the time of the next try if the check has not ended, else with `undefined`. */
export type AnnounceCheck = (
  check: AnnouncedCheck,
  announcedAt: number,
) => Promise<number | undefined>;

/** Creates and queues a message for each receiver that subscribed to the check's event. */
export function createAnnounceCheck(deps: AnnounceCheckDeps): AnnounceCheck {
  const { checks, store, queue, now } = deps;
  const deleteMessages = createDeleteMessages(deps);

  return async (check, announcedAt) => {
    const record = await checks.read(check.id);
    // Deleted or expired: there is nothing to announce.
    if (!record) return undefined;
    const type = eventOf(record.status);
    if (!type) return planNextTry(announcedAt, now());
    const targets = await findTargets(check, type);
    await Promise.all(targets.map((target) => addMessage(record, type, target)));
    // The check may have been deleted meanwhile, before its messages existed.
    if (!(await checks.read(check.id))) await deleteMessages(check);
    return undefined;
  };

  async function findTargets(
    { tenant, webhookUrl }: AnnouncedCheck,
    type: WebhookEventType,
  ): Promise<DeliveryTarget[]> {
    const endpoints = await store.listEndpoints(tenant);
    const subscribed = endpoints.filter(({ enabled, events }) => enabled && events.includes(type));
    const targets = subscribed.map(({ id }) => ({ endpointId: id }));
    return webhookUrl ? [...targets, { url: webhookUrl }] : targets;
  }

  async function addMessage(record: CheckRecord, type: WebhookEventType, target: DeliveryTarget) {
    const timestamp = new Date(record.finishedAt ?? now()).toISOString();
    const fresh = createDelivery({
      id: deliveryIdOf(record.id, target),
      tenant: record.tenant,
      target,
      type,
      payload: JSON.stringify({ type, timestamp, data: presentJob(record, record.baseUrl ?? '') }),
      createdAt: now(),
    });
    const isNew = await store.addDelivery(fresh);
    const delivery = isNew ? fresh : await store.readDelivery(fresh.id);
    // Even if it is not new: the process that added it may have died before queueing it.
    if (delivery?.status === 'pending') await queue.deliver(delivery);
  }
}

/** Waits about as long as the announcement is old. */
function planNextTry(announcedAt: number, now: number): number | undefined {
  const ageMs = now - announcedAt;
  if (ageMs > GIVE_UP_MS) return undefined;
  return now + Math.min(Math.max(ageMs, MIN_WAIT_MS), MAX_WAIT_MS);
}

export interface DeleteMessagesDeps {
  store: WebhookStore;
  queue: WebhookQueue;
}

/** Deletes all messages about one check. Pending ones are not sent any more. */
export type DeleteMessages = (check: AnnouncedCheck) => Promise<void>;

/** Message ids are derived from the check and its receivers, so no list of them is stored. */
export function createDeleteMessages({ store, queue }: DeleteMessagesDeps): DeleteMessages {
  return async ({ id, tenant, webhookUrl }) => {
    const endpoints = await store.listEndpoints(tenant);
    const targets = endpoints.map((endpoint) => ({ endpointId: endpoint.id }));
    const ids = targets.map((target) => deliveryIdOf(id, target));
    if (webhookUrl) ids.push(deliveryIdOf(id, { url: webhookUrl }));
    await store.deleteDeliveries(ids);
    await queue.withdraw({ checkId: id, deliveryIds: ids });
  };
}
