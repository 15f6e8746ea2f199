import { setTimeout as sleep } from 'node:timers/promises';
import type { Excuses, Fault } from './faults/fault.js';
import { findViolations, type Promises } from './history/find-violations.js';
import type { History } from './history/history.js';
import { createCallers } from './product/callers.js';
import { findHeldKeys, takeCensus } from './product/census.js';
import { type ChaosProduct, type Tenant, tenants } from './product/chaos-product.js';
import { startLoad } from './product/load.js';

const PER_SECOND = 20;
/** Before the fault, and after the recovery. */
const STEADY_MS = 1000;
const RECOVER_WITHIN_MS = 60_000;
/** Killed workers' jobs are found after 20 s at most, and a webhook is sent again after 5.5 s. */
const SETTLE_WITHIN_MS = 60_000;
const POLL_MS = 200;
/** This machine may be busy with other work. */
const GRACE_MS = 2500;
/** A message that was on its way when its check was deleted. */
const ATTEMPT_MS = 1000;

export interface FaultReport {
  violations: string[];
  /** From the end of the fault until each gateway has answered a new check. */
  recoveryMs: number;
  /** From the end of the fault until every accepted check had ended and nothing was left. */
  settledMs: number;
  accepted: number;
  refused: number;
  lost: number;
}

/** Runs one fault under load, and judges the history of it. */
export async function runFault(
  fault: Fault,
  product: ChaosProduct,
  history: History,
): Promise<FaultReport> {
  const callers = await createCallers(product, history);
  const earlier = new Set(await findHeldKeys(product));
  const load = startLoad(callers, PER_SECOND);
  await sleep(STEADY_MS);
  const injectedAt = performance.now();
  const heal = await fault.inject(product);
  await sleep(fault.holdMs);
  await heal();
  const healedAt = performance.now();
  const hasRecovered = await untilRecovered();
  const recoveredAt = performance.now();
  await sleep(STEADY_MS);
  await load.stop();
  const promises = toPromises(fault.excuses ?? {}, { injectedAt, recoveredAt });
  const broken = await settle(promises);
  const violations = hasRecovered ? broken : ['no recovery', ...broken];
  return {
    violations,
    recoveryMs: recoveredAt - healedAt,
    settledMs: performance.now() - healedAt,
    ...countCalls(history),
  };

  /** Waits until each gateway has answered a new check with its verdict; false: for too long. */
  async function untilRecovered(): Promise<boolean> {
    const deadline = performance.now() + RECOVER_WITHIN_MS;
    const recovered = await Promise.all(
      product.gateways.map(async (gateway) => {
        for (;;) {
          const asked = { tenant: tenants[0], image: 50, gateway, waitMs: 2000 };
          if ((await callers.check(asked)).status === 200) return true;
          if (performance.now() > deadline) return false;
          await sleep(POLL_MS / 2);
        }
      }),
    );
    return recovered.every(Boolean);
  }

  /** Reads all unfinished checks until no promise is broken, or for too long. */
  async function settle(judged: Promises): Promise<string[]> {
    const deadline = performance.now() + SETTLE_WITHIN_MS;
    for (;;) {
      for (const [id, tenant] of listUnfinished(history)) await callers.read(tenant, id);
      const mayExpire = fault.excuses?.leavesExpiring ?? false;
      // A killed node of a cluster may still be asked for its keys.
      const uncounted = await takeCensus(product, history, { mayExpire, earlier }).then(
        () => [],
        (error: unknown) => [`nothing can be counted: ${String(error)}`],
      );
      const found = [...uncounted, ...findViolations(history.events, judged)];
      if (found.length === 0 || performance.now() > deadline) return found;
      await sleep(POLL_MS);
    }
  }
}

function toPromises(
  { losesCallers, forgetsMs = 0 }: Excuses,
  { injectedAt, recoveredAt }: { injectedAt: number; recoveredAt: number },
): Promises {
  return {
    endingOf: (image) => image,
    isNotified: () => true,
    graceMs: GRACE_MS,
    attemptMs: ATTEMPT_MS,
    mayLose: (at) => losesCallers === true && at >= injectedAt && at <= recoveredAt,
    mayForget: (at) => forgetsMs > 0 && at >= injectedAt - forgetsMs && at <= recoveredAt,
  };
}

/** The accepted checks that nobody has seen end, with their tenants. */
function listUnfinished({ events }: History): Map<string, Tenant> {
  const tenantOf = new Map(
    events.flatMap((event) => (event.kind === 'sent' ? [[event.call, event.tenant]] : [])),
  );
  const open = new Map<string, Tenant>();
  for (const event of events) {
    if (event.kind === 'answered' && event.id !== undefined)
      open.set(event.id, tenantOf.get(event.call) as Tenant);
    if (event.kind !== 'read') continue;
    if (['succeeded', 'failed', 'canceled', 'gone'].includes(event.status)) open.delete(event.id);
  }
  return open;
}

function countCalls({ events }: History) {
  const answers = events.filter((event) => event.kind === 'answered');
  const accepted = answers.filter(({ id }) => id !== undefined).length;
  const lost = events.filter((event) => event.kind === 'lost').length;
  return { accepted, refused: answers.length - accepted, lost };
}
