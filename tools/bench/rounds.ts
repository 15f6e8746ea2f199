import { setTimeout as sleep } from 'node:timers/promises';

/** The throughput and latencies of a load. */
export interface Rate {
  perSecond: number;
  latenciesMs: number[];
}

export interface Repetition {
  concurrency: number;
  seconds: number;
  /** Limit for all callers together. */
  perSecond?: number;
}

/** Repeats `work` for `seconds`, `concurrency` at a time. Resolves when no call is running. */
export async function repeatWork(
  work: () => Promise<unknown>,
  { concurrency, seconds, perSecond = Infinity }: Repetition,
): Promise<Rate> {
  const latenciesMs: number[] = [];
  const started = performance.now();
  const elapsedMs = () => performance.now() - started;
  const endMs = 1000 * seconds;
  const intervalMs = (1000 * concurrency) / perSecond;
  const repeat = async () => {
    for (let dueMs = 0; Math.max(dueMs, elapsedMs()) < endMs; dueMs += intervalMs) {
      if (dueMs > elapsedMs()) await sleep(dueMs - elapsedMs());
      const begun = performance.now();
      await work();
      latenciesMs.push(performance.now() - begun);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, repeat));
  return { perSecond: (1000 * latenciesMs.length) / elapsedMs(), latenciesMs };
}

/**
 * Runs every measurement once per round, so that other load on the machine affects all of them alike.
 * Resolves to the results of each measurement in the order of rounds.
 */
export async function interleave<Name extends string, Result>(
  rounds: number,
  measurements: Record<Name, () => Promise<Result>>,
): Promise<Record<Name, Result[]>> {
  const names = Object.keys(measurements) as Name[];
  const results = Object.fromEntries(names.map((name) => [name, [] as Result[]]));
  for (let round = 0; round < rounds; round++) {
    for (const name of names) results[name]!.push(await measurements[name]());
  }
  return results as Record<Name, Result[]>;
}

/** The median over rounds of the ratio of two measures in the same round. */
export function medianRatio(measures: number[], others: number[]): number {
  return median(measures.map((measure, round) => measure / others[round]!));
}

export function median(values: number[]): number {
  return percentile(values, 0.5);
}

/** `share` is 0 to 1. The median of an even number of values is the lower middle one. */
export function percentile(values: number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(share * (sorted.length - 1))] ?? NaN;
}
