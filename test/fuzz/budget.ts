import { randomInt } from 'node:crypto';
import * as fc from 'fast-check';

/** Without TEST_CASES, a part of `npm test` may take this long. */
const DEFAULT_SECONDS = 30;
/** Cases that run at once. */
export const BATCH = 16;

/** From `--cases`, `--seconds`, `--seed` and `--path` of `npm run fuzz`; see tools/dev/test.ts. */
const { TEST_CASES: cases, TEST_SECONDS: seconds, TEST_SEED, TEST_PATH } = process.env;
/** `npm test` has a fixed one, so that only a change can fail it; `npm run fuzz` tries others. */
const isTest = cases === undefined && seconds === undefined;
export const seed = Number(TEST_SEED ?? (isTest ? 1 : randomInt(2 ** 30)));
/** Cases of all parts together; unlimited if only a time is given. */
const allCases = cases === undefined ? Number.POSITIVE_INFINITY : Number(cases);
const allSeconds =
  seconds === undefined && cases === undefined ? DEFAULT_SECONDS : Number(seconds ?? Infinity);

/** A test must have a timeout; this one is for runs that are limited by cases. */
export const TEST_TIMEOUT_MS = 6 * 60 * 60 * 1000;

/** A run is checked in slices, since fast-check would forget the case that runs when its time ends. */
const SLICE = 4;
/** Only shrinking takes this long. */
const MOST_SLICE_MS = 300_000;

/**
 * Resolves to a report of the shortest failing case, its error and the command that replays it;
 * `undefined` without a fault.
 */
export async function findFault<Given>(
  property: fc.IAsyncProperty<Given>,
  { name, share, countRun }: FuzzedPart,
): Promise<string | undefined> {
  const endsAt = performance.now() + allSeconds * share * 1000;
  const enough = countRun() + allCases * share;
  for (let n = 0; n === 0 || (countRun() < enough && performance.now() < endsAt); n += 1) {
    const report = await checkSlice(property, name, seed + n);
    if (report !== undefined) return report;
  }
  return undefined;
}

export interface FuzzedPart {
  name: string;
  /** Its share of the run. */
  share: number;
  /** The cases of all parts that have run: a batch has any number up to `BATCH`. */
  countRun(): number;
}

async function checkSlice<Given>(
  property: fc.IAsyncProperty<Given>,
  name: string,
  sliceSeed: number,
): Promise<string | undefined> {
  const found = await fc.check(property, {
    numRuns: SLICE,
    seed: sliceSeed,
    ...(TEST_PATH !== undefined && { path: TEST_PATH }),
    interruptAfterTimeLimit: MOST_SLICE_MS,
    markInterruptAsFailure: true,
  });
  if (!found.failed) return undefined;
  const path = found.counterexamplePath ?? '';
  const replay = `npm run fuzz -- --cases 1 --seed ${sliceSeed} --path ${path} -t ${name}`;
  const stack = (found.errorInstance as Error | undefined)?.stack ?? 'it took too long';
  return [fc.defaultReportMessage(found), `To replay it: ${replay}`, stack].join('\n\n');
}
