import type { WebhookJob } from '@livegate/core/ports';
import type { SimulatedGateway } from './gateway.js';
import type { Store } from './store.js';

/** BullMQ's delay of an announcement, its retry of a failed job, and its lock of a dead gateway. */
const ANNOUNCE_AFTER_MS = 100;
const RETRY_MS = 5000;
const LOCK_MS = 30_000;

/** BullMQ's part in webhooks: gives each job to a living gateway until it is done. */
export function runDeliveries(store: Store, living: () => SimulatedGateway[]) {
  const { webhookQueue } = store;
  const known = new Set<WebhookJob>();
  let turn = 0;
  store.onJob(() => {
    for (const [id, job] of webhookQueue.jobs) {
      if (known.has(job)) continue;
      known.add(job);
      const addedAt = performance.now();
      runIn({ id, job, addedAt }, job.kind === 'announce' ? ANNOUNCE_AFTER_MS : 0);
    }
  });
  return { pending: () => webhookQueue.jobs.size };

  function runIn(added: AddedJob, ms: number): void {
    setTimeout(() => void run(added), ms);
  }

  async function run(added: AddedJob): Promise<void> {
    const { id, job, addedAt } = added;
    // Withdrawn, or replaced by a job with the same id.
    if (webhookQueue.jobs.get(id) !== job) return;
    const gateways = living();
    const gateway = gateways[turn++ % gateways.length];
    if (!gateway) return runIn(added, RETRY_MS);
    const waitMs = await Promise.race([
      gateway.process.died.then(() => LOCK_MS),
      gateway.runJob(job, addedAt).then(
        (at) => at && at - performance.now(),
        () => RETRY_MS,
      ),
    ]);
    if (waitMs !== undefined) return runIn(added, waitMs);
    if (webhookQueue.jobs.get(id) !== job) return;
    const ids = job.kind === 'announce' ? { checkId: job.check.id, deliveryIds: [] } : undefined;
    await webhookQueue.withdraw(ids ?? { deliveryIds: [id] });
  }
}

interface AddedJob {
  id: string;
  job: WebhookJob;
  addedAt: number;
}
