import {
  type CheckRecord,
  createDelivery,
  type Delivery,
  deliveryIdOf,
  type DeliveryTarget,
  enforceQualityOf,
  eventOf,
  failDelivery,
  isFinished,
  type WebhookEventType,
} from '@livegate/core/domain';
import type { AnnouncedCheck, CheckQueue, WebhookQueue, WebhookStore } from '@livegate/core/ports';
import { presentJob } from '../contract/present-check.js';
import { createObserveAttempts } from '../telemetry/observe-attempts.js';

/** A check that takes longer than this is announced again when it ends. */
const GIVE_UP_MS = 10 * 60_000;
const MIN_WAIT_MS = 100;
const MAX_WAIT_MS = 10_000;

export interface AnnounceCheckDeps extends AnnounceEventDeps {
  checks: Pick<CheckQueue, 'read'>;
  /** Ends the check of a hosted session, which announces its own end instead of the check's. */
  settleSession: (ended: CheckRecord) => Promise<unknown>;
}

/** Resolves with the time of the next try if the check has not ended, else with `undefined`. */
export type AnnounceCheck = (
  check: AnnouncedCheck,
  announcedAt: number,
) => Promise<number | undefined>;

/** Creates and queues a message for each receiver that subscribed to the check's event. */
export function createAnnounceCheck(deps: AnnounceCheckDeps): AnnounceCheck {
  const { checks, now } = deps;
  const announceEvent = createAnnounceEvent(deps);
  const deleteMessages = createDeleteMessages(deps);

  return async (check, announcedAt) => {
    const record = await checks.read(check.id);
    // Deleted or expired. An earlier run that Redis answered too late may have left messages.
    if (!record) {
      await deleteMessages(check);
      return undefined;
    }
    if (!isFinished(record.status)) return planNextTry(announcedAt, now());
    if (record.sid !== undefined) await deps.settleSession(record);
    else await announce(record, check);
    return undefined;
  };

  async function announce(record: CheckRecord, { webhookUrl }: AnnouncedCheck): Promise<void> {
    const { id, tenant, finishedAt, baseUrl = '', qualityPolicy = 'header' } = record;
    const type = eventOf(enforceQualityOf(record, qualityPolicy).status);
    if (!type) return;
    await announceEvent({
      source: id,
      tenant,
      type,
      at: finishedAt ?? now(),
      data: presentJob(record, baseUrl, qualityPolicy),
      isKept: async () => (await checks.read(id)) !== undefined,
      ...(webhookUrl !== undefined && { webhookUrl }),
    });
  }
}

export interface AnnounceEventDeps {
  store: WebhookStore;
  queue: WebhookQueue;
  /** The most pending messages to one endpoint, or to all URLs of one tenant's checks. */
  maxPending: number;
  now: () => number;
}

/** One thing that happened, and what is said about it. */
export interface WebhookEvent {
  /** The id of the check or the session: the same event of one source is sent once. */
  source: string;
  tenant: string;
  type: WebhookEventType;
  /** In milliseconds since the epoch. */
  at: number;
  data: object;
  /** Whether the source has not been deleted meanwhile. */
  isKept: () => Promise<boolean>;
  /** A receiver in addition to the tenant's endpoints. */
  webhookUrl?: string;
}

export type AnnounceEvent = (event: WebhookEvent) => Promise<void>;

/**
 * Creates and queues a message for each receiver that subscribed to the event. The source is read
 * again in between: a deletion either finds the messages, or is seen before they are queued.
 */
export function createAnnounceEvent(deps: AnnounceEventDeps): AnnounceEvent {
  const { store, queue, maxPending, now } = deps;
  const deleteMessages = createDeleteMessages({ store, queue });
  const { givenUp } = createObserveAttempts();

  return async (event) => {
    const targets = await findTargets(event);
    const deliveries = await Promise.all(targets.map((target) => addMessage(event, target)));
    if (!(await event.isKept())) return deleteMessages({ ...event, id: event.source });
    const pending = deliveries.flatMap((each) => (each?.status === 'pending' ? [each] : []));
    await Promise.all(pending.map((delivery) => queue.deliver(delivery)));
  };

  async function findTargets({ tenant, type, webhookUrl }: WebhookEvent) {
    const endpoints = await store.listEndpoints(tenant);
    const subscribed = endpoints.filter(({ enabled, events }) => enabled && events.includes(type));
    const targets: DeliveryTarget[] = subscribed.map(({ id }) => ({ endpointId: id }));
    return webhookUrl ? [...targets, { url: webhookUrl }] : targets;
  }

  /** If it is not new, the process that added it may have died before queueing it. */
  async function addMessage(
    { source, tenant, type, data, at }: WebhookEvent,
    target: DeliveryTarget,
  ): Promise<Delivery | undefined> {
    const fresh = createDelivery({
      id: deliveryIdOf(source, target),
      tenant,
      target,
      type,
      payload: JSON.stringify({ type, timestamp: new Date(at).toISOString(), data }),
      createdAt: now(),
    });
    if (!(await store.addDelivery(fresh))) return store.readDelivery(fresh.id);
    // Counted after adding, so that messages that are added at the same time cannot exceed the limit.
    if ((await store.countPending(fresh)) <= maxPending) return fresh;
    givenUp('too_many_pending');
    return store.updateDelivery(fresh.id, (latest) => failDelivery(latest, 'too_many_pending'));
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
