import {
  type Distribution,
  type ReceivedSample,
  SAMPLE_MS,
  SAMPLES_KEPT_MS,
} from '@livegate/core/domain';
import { mergeDistributions } from '@livegate/core/telemetry';
import type { Rates, Series } from './snapshot.js';

/** A process without a sample for this time counts as silent: two samples may be late or lost. */
export const SILENT_MS = 3 * SAMPLE_MS;
export const RATE_MS = 60_000;
const STEP_MS = 15_000;

/** The samples of one process, oldest first. */
export interface Process {
  id: string;
  kind: ReceivedSample['kind'];
  samples: ReceivedSample[];
  latest: ReceivedSample;
}

export function groupByProcess(samples: ReceivedSample[], now: number): Process[] {
  const groups = new Map<string, ReceivedSample[]>();
  for (const sample of samples) {
    groups.set(sample.process, [...(groups.get(sample.process) ?? []), sample]);
  }
  return [...groups].map(([id, own]) => {
    const latest = own.at(-1)!;
    return { id, kind: latest.kind, samples: [...startOf(own[0]!, now), ...own], latest };
  });
}

/** A process that started within the kept time counted from 0: its first sample may be late. */
function startOf(first: ReceivedSample, now: number): ReceivedSample[] {
  const at = first.at - first.uptimeMs;
  if (at <= now - SAMPLES_KEPT_MS) return [];
  return [{ ...first, at, values: {}, distributions: {}, tenants: {} }];
}

/** What a process has counted between two times. */
export interface Span {
  from: ReceivedSample;
  to: ReceivedSample;
  seconds: number;
}

/** From the latest sample at or before `from`, else the first one, to the latest at or before `to`. */
export function spanOf({ samples }: Process, from: number, to: number): Span | undefined {
  const last = samples.findLast(({ at }) => at <= to);
  const first = samples.findLast(({ at }) => at <= from) ?? samples[0];
  if (!last || !first || last.at <= from) return undefined;
  return { from: first, to: last, seconds: (last.at - first.at) / 1000 };
}

type Values = Record<string, number>;

/** Sums a metric over its labels; `matches` selects among them. */
export function sumOf(values: Values, name: string, matches?: RegExp): number {
  return Object.entries(values)
    .filter(([key]) => key === name || key.startsWith(`${name}{`))
    .filter(([key]) => !matches || matches.test(key))
    .reduce((sum, [, value]) => sum + value, 0);
}

export function countIn({ from, to }: Span, name: string, matches?: RegExp): number {
  return Math.max(0, sumOf(to.values, name, matches) - sumOf(from.values, name, matches));
}

/** The part of a histogram that was recorded in the span; `undefined` if nothing was. */
export function distributionIn({ from, to }: Span, name: string): Distribution | undefined {
  const end = to.distributions[name];
  const start = from === to ? end : from.distributions[name];
  if (!end) return undefined;
  if (!start) return end;
  const negative = start.buckets.map(([lower, upper, count]) => [lower, upper, -count] as const);
  const parts = [end, { sum: -start.sum, buckets: negative as unknown as Distribution['buckets'] }];
  const { sum, buckets } = mergeDistributions(parts);
  const filled = buckets.filter(([, , count]) => count > 0);
  return filled.length > 0 ? { sum, buckets: filled } : undefined;
}

export function merge(parts: (Distribution | undefined)[]): Distribution | undefined {
  const known = parts.filter((part) => part !== undefined);
  return known.length > 0 ? mergeDistributions(known) : undefined;
}

export function countOf(distribution: Distribution | undefined): number {
  return distribution?.buckets.reduce((sum, [, , count]) => sum + count, 0) ?? 0;
}

/** Linear within a bucket; of one without an upper bound, the lower bound. */
export function quantileOf(
  distribution: Distribution | undefined,
  quantile: number,
): number | undefined {
  const total = countOf(distribution);
  if (!distribution || total === 0) return undefined;
  let left = quantile * total;
  for (const [lower, upper, count] of distribution.buckets) {
    const from = lower ?? 0;
    if (left <= count) return upper === null ? from : from + ((upper - from) * left) / count;
    left -= count;
  }
  return distribution.buckets.at(-1)?.[0] ?? undefined;
}

const refusals = /=(overloaded|unavailable|rate_limited)}/;
const faults = /=(internal_error|timeout|image_expired)}/;

/** Per second, over the time that each process reports. */
export function ratesBetween(processes: Process[], from: number, to: number): Rates {
  let [checks, refused, failedRequests, failedChecks] = [0, 0, 0, 0];
  const failures = 'livegate.check.failures';
  for (const process of processes) {
    const span = spanOf(process, from, to);
    if (!span || span.seconds === 0) continue;
    const { seconds } = span;
    for (const name of ['livegate.verdicts', 'livegate.face_count.failures', failures]) {
      checks += countIn(span, name) / seconds;
    }
    refused += countIn(span, 'requests', refusals) / seconds;
    failedRequests += countIn(span, 'requests', faults) / seconds;
    failedChecks += countIn(span, failures, faults) / seconds;
  }
  // A failed check with a waiting caller is also a failed request.
  return { checks, refused, failed: Math.max(failedRequests, failedChecks) };
}

export function distributionBetween(
  processes: Process[],
  name: string,
  [from, to]: [number, number],
): Distribution | undefined {
  return merge(
    processes.map((process) => {
      const span = spanOf(process, from, to);
      return span && distributionIn(span, name);
    }),
  );
}

/** The kept samples as charts. */
export function measureSeries(processes: Process[], now: number): Series {
  // Steps end at fixed times, so that a chart moves by whole steps.
  const last = Math.floor(now / STEP_MS) * STEP_MS;
  const count = Math.floor(SAMPLES_KEPT_MS / STEP_MS) - 1;
  const ends = Array.from({ length: count }, (_, index) => last - (count - 1 - index) * STEP_MS);
  const steps = ends.map((to) => {
    const from = to - STEP_MS;
    const latency = distributionBetween(processes, 'checks', [from, to]);
    return { ...ratesBetween(processes, from, to), waiting: waitingAt(processes, to), latency };
  });
  const toMs = (seconds: number | undefined) => (seconds === undefined ? null : seconds * 1000);
  return {
    stepSeconds: STEP_MS / 1000,
    checks: steps.map(({ checks }) => checks),
    refused: steps.map(({ refused }) => refused),
    failed: steps.map(({ failed }) => failed),
    waiting: steps.map(({ waiting }) => waiting),
    p50Ms: steps.map(({ latency }) => toMs(quantileOf(latency, 0.5))),
    p99Ms: steps.map(({ latency }) => toMs(quantileOf(latency, 0.99))),
  };
}

const notTaken = /state=(waiting|prioritized|delayed)}/;

export function countWaiting(values: Values): number {
  return sumOf(values, 'livegate.queue.depth', notTaken);
}

/** All gateways report the same queue: the latest report before `to`, if it is from the step. */
function waitingAt(processes: Process[], to: number): number | null {
  const reports = processes
    .filter(({ kind }) => kind === 'gateway')
    .map(({ samples }) => samples.findLast(({ at }) => at <= to))
    .filter((sample) => sample !== undefined && sample.at > to - STEP_MS)
    .filter((sample) => sample !== undefined && 'livegate.ready' in sample.values);
  const latest = reports.toSorted((a, b) => a!.at - b!.at).at(-1);
  return latest ? countWaiting(latest.values) : null;
}
