// Not vitest's `expect`, which takes longer than the code under test.
import assert from 'node:assert/strict';
import { createWebhookSecret } from '@livegate/core/domain';
import type { Log } from '@livegate/core/telemetry';
import type * as fc from 'fast-check';
import { pino } from 'pino';
import { vi } from 'vitest';
import type { SendMessage } from '../../apps/api/src/webhooks/send-message.js';
import { findViolations } from '../chaos/history/find-violations.js';
import { createHistory, type HistoryEvent } from '../chaos/history/history.js';
import { createCallers } from './callers.js';
import { runDeliveries } from './deliveries.js';
import { type SimulatedGateway, startGateway } from './gateway.js';
import { createNetwork, type Process } from './network.js';
import { type Plan, tenants } from './plan.js';
import { createStore } from './store.js';
import { REFUSED_IMAGE, runBatch, type SimulatedWorker, startWorker } from './worker.js';

/** Replaces parts of the product by faulty ones. */
export interface Parts {
  store: ReturnType<typeof createStore>;
  run: typeof runBatch;
  announceBeforeEnd: ReturnType<typeof createStore>['webhookQueue']['announce'];
  send: SendMessage;
}
export type Plant = (parts: Parts) => Parts;

const FAKED = [
  'setTimeout',
  'clearTimeout',
  'setInterval',
  'clearInterval',
  'performance',
  'Date',
] as const;
const NEVER_MS = 10 * 60_000;
/** Far more than any history takes. */
const MAX_STEPS = 50_000;
/** A submission waits up to 3 s for another gateway with its key, and 0.5 s for each command. */
const GRACE_MS = 5500;
const log: Log = pino({ level: 'silent' });

export interface Simulated {
  events: HistoryEvent[];
  violations: string[];
}

/** Runs one history on a clock of its own, and judges it. */
export async function simulate(
  scheduler: fc.Scheduler,
  plan: Plan,
  plant: Plant = (parts) => parts,
): Promise<Simulated> {
  // Each history starts at 0, so that it does not depend on those before it.
  vi.useFakeTimers({ toFake: [...FAKED], now: 0 });
  try {
    return await runHistory(scheduler, plan, plant);
  } finally {
    vi.useRealTimers();
  }
}

async function runHistory(scheduler: fc.Scheduler, plan: Plan, plant: Plant): Promise<Simulated> {
  const history = createHistory(() => performance.now());
  const network = createNetwork(scheduler, plan.faults);
  const plain = createStore();
  const parts = plant({
    store: plain,
    run: runBatch,
    announceBeforeEnd: plain.webhookQueue.announce,
    send: createSend(plan, history.record),
  });
  const { store, run, send } = parts;
  await subscribe(plain);
  const openGateway = (name: string) => startGateway(name, { network, store, send, log });
  const openWorker = (name: string) =>
    startWorker(name, { network, scheduler, store, run, announce: parts.announceBeforeEnd, log });
  const gateways: SimulatedGateway[] = ['gateway-1', 'gateway-2'].map(openGateway);
  const workers: SimulatedWorker[] = ['worker-1', 'worker-2'].map(openWorker);
  const living = () => gateways.filter(({ process }) => !process.isDead());
  const deliveries = runDeliveries(store, living);
  const callers = createCallers({ gateways, history });
  // Every gateway has seen the workers by then.
  await drive(sleep(1000));
  await drive(Promise.all(plan.callers.map(callers.run)));

  network.calm();
  await drive(playOut());
  const hasLostWorker = workers.some(({ process }) => process.isDead());
  const violations = findViolations(history.events, {
    endingOf: (image) => (image === REFUSED_IMAGE ? 'invalid_image' : image),
    // A check that stalls while it runs alone counts as the cause of its worker's death, and does not
    // run again. Without a death, Redis must have refused to store its end twice, and that it had run.
    alsoEndsAs: network.fired() > (hasLostWorker ? 1 : 2) ? ['internal_error'] : [],
    isNotified: (tenant) => tenant === tenants[0],
    graceMs: GRACE_MS,
    attemptMs: 100,
    mayLose: (at) => gateways.some(({ process }) => process.diedAt() === at),
  });
  return { events: history.events, violations };

  /** Until every check has ended, every message is sent and nothing is left. */
  async function playOut(): Promise<void> {
    const deadline = performance.now() + NEVER_MS;
    while (performance.now() < deadline) {
      await sleep(1000);
      // A deletion may begin with a late call.
      const isCalm = network.late() === 0;
      const gateway = reviveOne();
      await callers.readUnfinished(gateway);
      await Promise.race([gateway.process.died, gateway.deleteHidden().catch(() => undefined)]);
      const isQuiet = isCalm && callers.unfinished().size === 0 && deliveries.pending() === 0;
      if (isQuiet && (await isAtRest())) break;
    }
    // For the clean-up after the end of the last check.
    await sleep(1000);
    await takeCensus();
  }

  /** A fault that began before the calm may still end a process. */
  function reviveOne(): SimulatedGateway {
    const isDead = ({ process }: { process: Process }) => process.isDead();
    if (workers.every(isDead)) workers.push(openWorker(`worker-${workers.length + 1}`));
    if (gateways.every(isDead)) gateways.push(openGateway(`gateway-${gateways.length + 1}`));
    for (const { close } of gateways) close();
    return living()[0]!;
  }

  /** Whether all jobs have ended, also those that no caller knows. */
  async function isAtRest(): Promise<boolean> {
    const records = await Promise.all(plain.ids().map((id) => plain.queue.read(id)));
    return records.every((record) => record?.outcome !== undefined);
  }

  async function takeCensus(): Promise<void> {
    // What a dead process or a failed command has left in Redis expires by its TTL.
    if (network.fired() === 0) {
      const images = (await plain.imageStore.get(callers.ids())).filter(Boolean).length;
      history.record({ kind: 'left', what: 'images', count: images });
    }
    const isWhole = gateways.every(({ process }) => !process.isDead());
    const held = [plain.replies.leases, ...living().map(({ leases }) => leases)];
    const sum = held.flatMap((leases) => Object.values(leases.held())).reduce((a, b) => a + b, 0);
    if (isWhole) history.record({ kind: 'left', what: 'leases', count: sum });
    const hidden = await plain.queue.listHidden();
    history.record({ kind: 'left', what: 'deletions', count: hidden.length });
  }

  /** Runs calls in the order of the scheduler; time passes when no call is left. */
  async function drive(work: Promise<unknown>): Promise<void> {
    let isDone = false;
    work.finally(() => (isDone = true)).catch(() => undefined);
    for (let step = 0; ; step += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      if (isDone) break;
      assert(step < MAX_STEPS, 'the history does not end');
      if (scheduler.count() > 0) await scheduler.waitOne();
      else vi.advanceTimersToNextTimer();
    }
    await work;
  }
}

async function subscribe({ webhookStore }: Parts['store']): Promise<void> {
  const endpoint = {
    id: 'whe_1',
    tenant: tenants[0],
    url: 'https://acme.example/hook',
    events: [
      'passive_liveness.completed',
      'passive_liveness.failed',
      'passive_liveness.canceled',
    ] as const,
    enabled: true,
    createdAt: 0,
    secrets: [createWebhookSecret()],
  };
  await webhookStore.addEndpoint({ ...endpoint, events: [...endpoint.events] }, 16);
}

const SEND_MS = 20;

/** The network to the receivers, and the receivers. */
function createSend(
  { sends }: Plan,
  record: ReturnType<typeof createHistory>['record'],
): SendMessage {
  let attempts = 0;
  return async ({ payload }) => {
    const fault = sends[attempts++];
    const at = performance.now();
    await sleep(SEND_MS);
    const { data } = JSON.parse(payload) as { data: Announced };
    if (fault !== 'refused') record({ kind: 'notified', id: data.id, ending: endingOf(data) });
    const answer = fault ? { error: 'the connection failed' } : { statusCode: 200 };
    return { at, latencyMs: SEND_MS, ...answer };
  };
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

interface Announced {
  id: string;
  result?: { result: { spoof_percentage: number } };
  error?: { error_code: string };
}

function endingOf({ result, error }: Announced): number | string {
  return error?.error_code ?? Math.round(100 * (result?.result.spoof_percentage ?? -1));
}
