import type { CheckResult } from '../check.js';
import type { QualityCode } from '../quality.js';

/** How often each process publishes a sample. */
export const SAMPLE_MS = 5000;
/** How long a sample is kept. */
export const SAMPLES_KEPT_MS = 15 * 60 * 1000;

/** The metrics of one process, and facts that metrics cannot contain, such as counts by tenant. */
export interface ProcessSample {
  /** The id of the worker's registration, or of the gateway. */
  process: string;
  kind: 'gateway' | 'worker';
  /** Since the start of the process, when all counters were 0. */
  uptimeMs: number;
  /** The process is stopping, so the console does not report it as silent afterwards. */
  isLast?: true;
  /** Counters since the start of the process, and gauges, by name and labels. */
  values: Record<string, number>;
  distributions: Record<string, Distribution>;
  /** Of a worker: its engines and batches. */
  layout?: Record<string, number>;
  /** Of a gateway: requests for a check since its start, by tenant. */
  tenants?: Record<string, number>;
}

/** A histogram without its empty buckets. */
export interface Distribution {
  sum: number;
  /** Lower bound, upper bound, count; `null` for a bucket without that bound. */
  buckets: [number | null, number | null, number][];
}

/** One attempt to deliver a webhook. */
export interface ReceiverAttempt {
  tenant: string;
  /** The endpoint's id, never its URL, which may contain a secret; else `webhook_url`. */
  endpoint: string;
  /** The class of the answer, such as `5xx`, or `no_answer`. */
  outcome: string;
}

/** A receiver whose latest attempt failed. */
export interface FailingReceiver extends ReceiverAttempt {
  /** Failed attempts in a row. */
  failures: number;
  /** Of the latest attempt, in milliseconds since the epoch. */
  at: number;
}

/** A sample as it is read back. */
export interface ReceivedSample extends ProcessSample {
  /** When Redis received it, in milliseconds since the epoch, by the clock of Redis. */
  at: number;
}

/** The latest requests that ended with one error code. */
export interface FailureNote {
  code: string;
  /** Newest first. Times are milliseconds since the epoch. */
  requests: { id: string; at: number }[];
}

/** What happened to at least `MIN_GROUP` checks of one tenant. */
export interface Tally {
  tenant: string;
  /** Checks by status of the verdict, by `quality <code>` and by `score <bin>`. */
  counts: Record<string, number>;
}

/** The statuses that a tally counts. */
export const tallyStatuses = ['LOW', 'MODERATE', 'HIGH', 'no_face', 'too_many_faces'] as const;
export type TallyStatus = (typeof tallyStatuses)[number];

/** Tallies are kept by the hour, and for a short time also by ten minutes. */
export const tallyPeriods = {
  hour: { ms: 60 * 60 * 1000, ttlSeconds: 8 * 24 * 60 * 60 },
  slot: { ms: 10 * 60 * 1000, ttlSeconds: 3 * 60 * 60 },
} as const;
export type TallyPeriod = keyof typeof tallyPeriods;

/**
 * The fewest checks of a tenant that leave a worker's memory as counts. Any two states of the counts
 * differ by whole groups, so that no difference shows the verdict on one person.
 */
export const MIN_GROUP = 10;

/**
 * Bounds between the bins of scores. Scores crowd near 0 and 1, so the bins are narrow there, about
 * equal steps of log-odds.
 */
export const scoreBounds = [0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99] as const;

export const qualityKey = (code: QualityCode) => `quality ${code}`;
export const scoreKey = (bin: number) => `score ${bin}`;

/** The index of a score's bin, 0 to 9. */
export function scoreBinOf(score: number): number {
  return scoreBounds.filter((bound) => score >= bound).length;
}

/** Counts verdicts in memory until there are enough of a tenant. */
export interface Tallies {
  count(tenant: string, result: CheckResult): void;
  /** Removes and returns the groups that are large enough. */
  take(): Tally[];
  /** Puts back what could not be published. */
  restore(tallies: Tally[]): void;
}

export function createTallies(): Tallies {
  const pending = new Map<string, { checks: number; counts: Record<string, number> }>();
  const groupOf = (tenant: string) => {
    const group = pending.get(tenant) ?? { checks: 0, counts: {} };
    pending.set(tenant, group);
    return group;
  };

  return {
    count(tenant, result) {
      const group = groupOf(tenant);
      group.checks += 1;
      for (const key of keysOf(result)) add(group.counts, key, 1);
    },
    take() {
      const full = [...pending].filter(([, { checks }]) => checks >= MIN_GROUP);
      for (const [tenant] of full) pending.delete(tenant);
      return full.map(([tenant, { counts }]) => ({ tenant, counts }));
    },
    restore(tallies) {
      for (const { tenant, counts } of tallies) {
        const group = groupOf(tenant);
        group.checks += MIN_GROUP;
        for (const [key, count] of Object.entries(counts)) add(group.counts, key, count);
      }
    },
  };
}

function keysOf({ verdict, quality }: CheckResult): string[] {
  const codes = (quality?.codes ?? []).map(qualityKey);
  if (verdict.kind !== 'scored') return [verdict.kind, ...codes];
  return [verdict.status, scoreKey(scoreBinOf(verdict.spoofProbability)), ...codes];
}

function add(counts: Record<string, number>, key: string, count: number): void {
  counts[key] = (counts[key] ?? 0) + count;
}
