import { setTimeout as sleep } from 'node:timers/promises';

/** What a load of checks met: the rate, and how long each of them took. */
export interface Rate {
  perSecond: number;
  latenciesMs: number[];
}

export interface Repetition {
  concurrency: number;
  seconds: number;
  /** Of all together, where they are to go slower than they can. */
  perSecond?: number;
}

/** Does the work over and over for so long, so many at a time, and ends with nothing under way. */
export async function repeatWork(
  work: () => Promise<unknown>,
  { concurrency, seconds, perSecond = Infinity }: Repetition,
): Promise<Rate> {
  const latenciesMs: number[] = [];
  const started = performance.now();
  const elapsedMs = () => performance.now() - started;
  const endMs = 1000 * seconds;
  const turnMs = (1000 * concurrency) / perSecond;
  const repeat = async () => {
    for (let dueMs = 0; Math.max(dueMs, elapsedMs()) < endMs; dueMs += turnMs) {
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
 * Side by side: each of the measurements once per round, so that what else the machine does meets all
 * of them. Answers all rounds of each, in the order of time.
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

/** The median over rounds of one measure relative to another, each pair from the same round. */
export function medianRatio(measures: number[], others: number[]): number {
  return median(measures.map((measure, round) => measure / others[round]!));
}

export function median(values: number[]): number {
  return percentile(values, 0.5);
}

/** `share` from 0 to 1; of an even number of values, the lower middle one is the median. */
export function percentile(values: number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(share * (sorted.length - 1))] ?? NaN;
}
