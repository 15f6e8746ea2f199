import {
  type FailingReceiver,
  type ReceivedSample,
  type ReceiverAttempt,
  type Tally,
  type TallyPeriod,
  tallyPeriods,
} from '@livegate/core/domain';
import type { CheckQueue, Monitoring, WebhookStore } from '@livegate/core/ports';
import { failInOutage, type Outage } from './outage.js';
import { createFakeCheckQueue } from './queue-fake.js';
import { createFakeWebhookStore } from './webhook-fakes.js';

/** Requests that are listed of each error code. */
const MAX_NOTES = 10;

export interface FakeMonitoringOptions {
  /** Where a check must be, so that its failure is noted. */
  queue?: Pick<CheckQueue, 'read'>;
  /** Where an endpoint must be, so that its failed attempts count. */
  endpoints?: Pick<WebhookStore, 'readEndpoint'>;
  /** In milliseconds since the epoch. */
  now?: () => number;
  outage?: Outage;
}

/** Keeps every sample, tally and note: nothing expires. */
export function createFakeMonitoring(options: FakeMonitoringOptions = {}): Monitoring {
  const { now = Date.now, outage = { away: false } } = options;
  const { queue = createFakeCheckQueue(), endpoints = createFakeWebhookStore() } = options;
  const samples: ReceivedSample[] = [];
  const tallies = createFakeTallies();

  const monitoring: Monitoring = {
    async publish(sample, more) {
      samples.push({ ...sample, at: now() });
      for (const tally of more) tallies.add(tally, now());
    },
    async readSamples(cursor = '0') {
      const next = `${samples.length}`;
      return { samples: samples.slice(Number(cursor)), cursor: next, now: now() };
    },
    readTallies: async (period, numbers) => numbers.map((number) => tallies.read(period, number)),
    ...createFakeFailures(queue, now),
    ...createFakeReceivers(endpoints, now),
  };
  return failInOutage(monitoring, outage);
}

function createFakeTallies() {
  const counts = new Map<string, Map<string, Tally['counts']>>();

  return {
    add({ tenant, counts: more }: Tally, at: number): void {
      for (const [period, { ms }] of Object.entries(tallyPeriods)) {
        const key = `${period} ${Math.floor(at / ms)}`;
        const byTenant = counts.get(key) ?? new Map<string, Tally['counts']>();
        counts.set(key, byTenant);
        const known = byTenant.get(tenant) ?? {};
        const added = Object.entries(more).map(([name, n]) => [name, (known[name] ?? 0) + n]);
        byTenant.set(tenant, { ...known, ...Object.fromEntries(added) });
      }
    },
    read(period: TallyPeriod, number: number): Tally[] {
      const byTenant = counts.get(`${period} ${number}`) ?? [];
      return [...byTenant].map(([tenant, of]) => ({ tenant, counts: of }));
    },
  };
}

type Failures = Pick<Monitoring, 'noteFailure' | 'readFailures'>;

function createFakeFailures(queue: Pick<CheckQueue, 'read'>, now: () => number): Failures {
  const notes: { code: string; id: string; isCheck: boolean; at: number }[] = [];
  const isDeleted = async ({ id, isCheck }: { id: string; isCheck: boolean }) =>
    isCheck && !(await queue.read(id));

  return {
    async noteFailure(failure) {
      if (!(await isDeleted(failure))) notes.unshift({ ...failure, at: now() });
    },
    async readFailures() {
      const deleted = await Promise.all(notes.map(isDeleted));
      const kept = notes.filter((_, n) => !deleted[n]);
      return [...new Set(kept.map(({ code }) => code))].map((code) => {
        const ofCode = kept.filter((note) => note.code === code).slice(0, MAX_NOTES);
        return { code, requests: ofCode.map(({ id, at }) => ({ id, at })) };
      });
    },
  };
}

type Receivers = Pick<Monitoring, 'noteAttempt' | 'readFailingReceivers'>;

function createFakeReceivers(
  endpoints: Pick<WebhookStore, 'readEndpoint'>,
  now: () => number,
): Receivers {
  const failing = new Map<string, FailingReceiver>();
  const exists = async ({ tenant, endpoint }: Omit<ReceiverAttempt, 'outcome'>) =>
    endpoint === 'webhook_url' || Boolean(await endpoints.readEndpoint({ tenant, id: endpoint }));

  return {
    async noteAttempt(attempt) {
      const key = `${attempt.tenant} ${attempt.endpoint}`;
      const failures = (failing.get(key)?.failures ?? 0) + 1;
      if (attempt.outcome === '2xx') failing.delete(key);
      else if (await exists(attempt)) failing.set(key, { ...attempt, failures, at: now() });
    },
    async readFailingReceivers() {
      const all = [...failing.values()];
      const present = await Promise.all(all.map(exists));
      return all.filter((_, n) => present[n]);
    },
  };
}
