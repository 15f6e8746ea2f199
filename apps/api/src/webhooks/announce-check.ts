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

/** A check is announced again when it ends: one that takes longer needs no watching. */
const GIVE_UP_MS = 10 * 60_000;
const MIN_WAIT_MS = 100;
const MAX_WAIT_MS = 10_000;

export interface AnnounceCheckDeps {
  checks: Pick<CheckQueue, 'read'>;
  store: WebhookStore;
  queue: WebhookQueue;
  now: () => number;
}

/** Resolves to the time to look again, for a check that goes on; `undefined` when done. */
export type AnnounceCheck = (
  check: AnnouncedCheck,
  announcedAt: number,
) => Promise<number | undefined>;

/** Makes one message for each receiver that wants to hear of the check. */
export function createAnnounceCheck(deps: AnnounceCheckDeps): AnnounceCheck {
  const { checks, store, queue, now } = deps;
  const deleteMessages = createDeleteMessages(deps);

  return async (check, announcedAt) => {
    const record = await checks.read(check.id);
    // Deleted, or past its retention: there is nothing to tell.
    if (!record) return undefined;
    const type = eventOf(record.status);
    if (!type) return planNextLook(announcedAt, now());
    const targets = await findTargets(check, type);
    await Promise.all(targets.map((target) => addMessage(record, type, target)));
    // Deleted meanwhile, perhaps before the messages were there.
    if (!(await checks.read(check.id))) await deleteMessages(check);
    return undefined;
  };

  async function findTargets(
    { tenant, webhookUrl }: AnnouncedCheck,
    type: WebhookEventType,
  ): Promise<DeliveryTarget[]> {
    const endpoints = await store.listEndpoints(tenant);
    const wanting = endpoints.filter(({ enabled, events }) => enabled && events.includes(type));
    const targets = wanting.map(({ id }) => ({ endpointId: id }));
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
    // Also when it is not new: whoever added it may have died before it was queued.
    if (delivery?.status === 'pending') await queue.deliver(delivery);
  }
}

/** Waits about as long again as it has waited. */
function planNextLook(announcedAt: number, now: number): number | undefined {
  const ageMs = now - announcedAt;
  if (ageMs > GIVE_UP_MS) return undefined;
  return now + Math.min(Math.max(ageMs, MIN_WAIT_MS), MAX_WAIT_MS);
}

export interface DeleteMessagesDeps {
  store: WebhookStore;
  queue: WebhookQueue;
}

/** Deletes what was or will be sent about one check. What is pending is not sent any more. */
export type DeleteMessages = (check: AnnouncedCheck) => Promise<void>;

/** The ids of a check's messages follow from its receivers: there is no list of them to keep. */
export function createDeleteMessages({ store, queue }: DeleteMessagesDeps): DeleteMessages {
  return async ({ id, tenant, webhookUrl }) => {
    const endpoints = await store.listEndpoints(tenant);
    const targets = endpoints.map((endpoint) => ({ endpointId: endpoint.id }));
    const ids = targets.map((target) => deliveryIdOf(id, target));
    if (webhookUrl) ids.push(deliveryIdOf(id, { url: webhookUrl }));
    await store.deleteDeliveries(ids);
    await queue.withdraw(id, ids);
  };
}
