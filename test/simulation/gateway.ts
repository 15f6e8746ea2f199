import {
  canMove,
  createLeases,
  type CheckOutcome,
  type LivegateError,
} from '@livegate/core/domain';
import type { ReplyInbox, ReplyWaiter, WebhookJob } from '@livegate/core/ports';
import type { Log } from '@livegate/core/telemetry';
import { openAdmission } from '../../apps/api/src/admission/admission.js';
import { createAwaitCheck } from '../../apps/api/src/checks/await-check.js';
import { createCancelAndDelete } from '../../apps/api/src/checks/end-check.js';
import { createClaimKey } from '../../apps/api/src/checks/claim-key.js';
import { createSubmitCheck } from '../../apps/api/src/checks/submit-check.js';
import { toLivegateError } from '../../apps/api/src/contract/present-error.js';
import {
  createAnnounceCheck,
  createDeleteMessages,
} from '../../apps/api/src/webhooks/announce-check.js';
import { createDeliverMessage } from '../../apps/api/src/webhooks/deliver-message.js';
import { createReceiverSlots } from '../../apps/api/src/webhooks/receiver-slots.js';
import type { SendMessage } from '../../apps/api/src/webhooks/send-message.js';
import { createHasEndpoints } from '../../apps/api/src/webhooks/webhook-url.js';
import { createProcess, type Network, openConnection } from './network.js';
import type { Store } from './store.js';

/** As the gateway's `LIVEGATE_REDIS_TIMEOUT_MS`. */
const REDIS_TIMEOUT_MS = 500;
/** Few enough that a history can fill the queue. */
const MAX_WAITING = 8;
const SLOT_RETRY_MS = 500;
/** More than a caller waits. */
const GONE_MS = 30_000;
/** More than a history has messages: each is to arrive. */
const MAX_PENDING = 1000;

export interface SimulatedRequest {
  id: string;
  tenant: string;
  image: number;
  key?: string;
  waitMs: number;
  /** Aborts when the caller hangs up. */
  closed: AbortSignal;
}

/** The parts of a gateway that a planted fault may replace. */
export interface GatewayParts {
  store: Store;
  send: SendMessage;
}

export interface GatewayDeps extends GatewayParts {
  network: Network;
  log: Log;
}

/** A gateway without HTTP and without Redis: its own code between the two. */
export function startGateway(name: string, { network, store, send, log }: GatewayDeps) {
  const process = createProcess(name);
  const leases = createLeases();
  const connection = openConnection();
  const link = <Port extends object>(port: Port, own = connection) =>
    network.link(port, { process, limitMs: REDIS_TIMEOUT_MS, connection: own });
  const queue = link(store.queue);
  // Images have a connection of their own.
  const imageStore = link(store.imageStore, openConnection());
  const idempotencyKeys = link(store.idempotencyKeys);
  const inbox = store.replies.createInbox(name);
  const replies = { ...inbox, attach: createAttach(inbox, link) };
  const webhookStore = link(store.webhookStore, openConnection());
  const webhookQueue = link(store.webhookQueue);
  const admission = openAdmission({
    // The polls of the admission are too many to be ordered by the scheduler.
    queue: { ...store.queue, takeRank: queue.takeRank },
    registry: store.registry,
    imageStore: store.imageStore,
    renew: async () => {
      if (!process.isDead()) await store.gateways.renew(name, GONE_MS);
    },
    settings: { findProblem: () => undefined },
    maxWaiting: MAX_WAITING,
    weightOf: () => 1,
    maxQueueWaitMs: 3000,
    maxAsyncWaitMs: 30_000,
    redisTimeoutMs: REDIS_TIMEOUT_MS,
    leases,
    log,
  });
  const deleteMessages = createDeleteMessages({ store: webhookStore, queue: webhookQueue });
  const webhooks = { announce: webhookQueue.announce, delete: deleteMessages };
  const ends = createCancelAndDelete({ queue, imageStore, idempotencyKeys, webhooks });
  const awaitCheck = createAwaitCheck({ queue, replies });
  const submitCheck = createSubmitCheck({
    imageStore,
    queue,
    replies,
    idempotencyKeys,
    claimKey: createClaimKey({ queue, idempotencyKeys }),
    awaitCheck,
    cancelCheck: ends.cancelCheck,
    hasEndpoints: createHasEndpoints(webhookStore),
  });
  const now = () => performance.now();
  const runJob = createRunJob({
    announce: createAnnounceCheck({
      store: webhookStore,
      queue: webhookQueue,
      checks: queue,
      settleSession: async () => undefined,
      maxPending: MAX_PENDING,
      now,
    }),
    deliver: createDeliverMessage({ store: webhookStore, send, now, random: () => 0, log }),
    slots: createReceiverSlots({ total: 4, perReceiver: 1, leases }),
  });

  return {
    process,
    leases,
    check: (request: SimulatedRequest) => check(request),
    read: (id: string) => queue.read(id),
    async cancel(id: string): Promise<boolean> {
      const record = await queue.read(id);
      return !!record && canMove(record.status, 'canceled') && ends.cancelCheck(record);
    },
    async delete(id: string): Promise<boolean> {
      const record = await queue.read(id);
      if (!record) return false;
      await ends.deleteCheck(record);
      return true;
    },
    /** Finishes interrupted deletions, as every gateway does once a minute. */
    async deleteHidden(): Promise<void> {
      for (const hidden of await queue.listHidden()) await ends.deleteCheck(hidden);
    },
    runJob,
    close: admission.close,
  };

  /** What the route of a check does with it. */
  async function check(request: SimulatedRequest): Promise<CheckAnswer> {
    const { id, tenant, image, key, waitMs, closed } = request;
    try {
      using place = admission.admit({ tenant, waitMs });
      using submitted = await submitCheck({
        id,
        tenant,
        image: Uint8Array.of(image),
        isAwaited: waitMs > 0,
        takeRank: () => place.takeRank(1),
        baseUrl: '',
        ...(key !== undefined && { idempotencyKey: key }),
      });
      place.queued();
      if (waitMs === 0) return { id: submitted.id };
      const outcome = await submitted.awaitOutcome({ waitMs, closed });
      if (closed.aborted && !outcome) await submitted.abandon();
      else if (!outcome) await submitted.defer(false);
      return { id: submitted.id, ...(outcome && { outcome }), isTimeout: !outcome };
    } catch (error) {
      return { error: toLivegateError(error) };
    }
  }
}

export type SimulatedGateway = ReturnType<typeof startGateway>;

export interface CheckAnswer {
  id?: string;
  outcome?: CheckOutcome;
  isTimeout?: boolean;
  error?: LivegateError;
}

/** As the adapter for Redis does, an attachment that fails holds nothing, even if it succeeds late. */
function createAttach(inbox: ReplyInbox, link: <Port extends object>(port: Port) => Port) {
  return async (id: string): Promise<ReplyWaiter> => {
    let hasFailed = false;
    let made: ReplyWaiter | undefined;
    const attach = async () => {
      made = await inbox.attach(id);
      if (hasFailed) made.release();
      return made;
    };
    try {
      return await link({ attach }).attach();
    } catch (error) {
      hasFailed = true;
      made?.release();
      throw error;
    }
  };
}

interface RunJobDeps {
  announce: ReturnType<typeof createAnnounceCheck>;
  deliver: ReturnType<typeof createDeliverMessage>;
  slots: ReturnType<typeof createReceiverSlots>;
}

/** One webhook job, as `takeDeliveries` runs it. Resolves to the time of its next run. */
function createRunJob({ announce, deliver, slots }: RunJobDeps) {
  return async (job: WebhookJob, addedAt: number): Promise<number | undefined> => {
    if (job.kind === 'announce') return announce(job.check, addedAt);
    const { deliveryId: id, receiver, tenant = receiver } = job;
    const slot = slots.take({ id, receiver, tenant });
    if (!slot) return performance.now() + SLOT_RETRY_MS;
    return deliver(id).finally(slot.release);
  };
}
