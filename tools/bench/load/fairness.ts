import { type Bench, type Figure, formatNumber, type Part } from '../bench.js';
import { credentials } from '../product.js';
import { percentile } from '../rounds.js';
import { type Answer, latencies, type OpenLoad, sendOpenLoad } from './open-load.js';
import {
  aimed,
  countStatuses,
  LOADS_OF_SECONDS,
  measureCapacity,
  type Measured,
  other,
  photosOf12,
  selfies,
  type Target,
  withTarget,
} from './target.js';

/** The share of the capacity that the second tenant uses; the first one then has 50 times as much. */
const SMALL_SHARE = 0.1;
const FLOOD = 50;

/**
 * An arriving check waits until an engine is free, so with k busy engines its p95 cannot be below
 * 1 + (1 - .05^(1/k)) times that of an idle worker: 1.95 with one, 1.31 with eight. The aims are
 * judged with eight fake engines of 150 ms, which keep the rate within what one gateway carries. Like
 * those of CPU cores, they run two images at once while one tenant has checks.
 */
const FAKE_ENGINES = ['tools/dist/bench/programs/double-worker.js', '2', '0', '150', '8'];

/** As a worker has in work with an accelerator and batches of 16. */
const AS_WITH_ACCELERATOR = { LIVEGATE_CONCURRENCY: '48' };

/** Measures what a flood of one tenant does to the selfies of another. */
export const measureFairness: Part = async (bench, say) => {
  const cases = [
    { engines: 'one engine', kind: selfies(bench), options: {} },
    {
      engines: 'one engine, 48 images in work',
      kind: photosOf12(bench),
      options: { workerEnv: AS_WITH_ACCELERATOR },
    },
    {
      engines: 'eight fake engines',
      kind: selfies(bench),
      options: { worker: FAKE_ENGINES },
      aims: { p95: { atMost: 1.5 }, answers: { atLeast: 0.97 } },
    },
  ];
  const figures: Figure[] = [];
  for (const { options, ...facts } of cases) {
    const compare = (halved: Bench, target: Target) =>
      compareTenants(halved, { ...facts, target, say });
    figures.push(...(await withTarget(bench, options, compare)));
  }
  return figures;
};

async function compareTenants(
  bench: Bench,
  measured: Measured & { engines: string; aims?: Record<'p95' | 'answers', Figure['aim']> },
): Promise<Figure[]> {
  const { target, kind, say } = measured;
  const capacity = await measureCapacity(bench, measured);
  const small: OpenLoad = {
    image: bench.photos.selfie,
    headers: other,
    perSecond: SMALL_SHARE * capacity,
    seconds: 2 * LOADS_OF_SECONDS * bench.seconds,
    hangUpAfterMs: 25_000,
  };
  const alone = await sendOpenLoad(target.url, small);
  const perSecond = FLOOD * small.perSecond;
  const flood = { ...small, image: kind.image, headers: credentials, perSecond };
  const sendBoth = (headers: OpenLoad['headers']) =>
    Promise.all([sendOpenLoad(target.url, flood), sendOpenLoad(target.url, { ...small, headers })]);
  // The checks of one tenant run in the order of their arrival, which is unfair to the small one.
  const unfair = await sendBoth(credentials);
  const fair = await sendBoth(other);
  const [, beside] = fair;
  const at = (answers: Answer[], share: number) => percentile(latencies(answers, 200), share);
  const name = `${measured.engines}, a tenant at ${SMALL_SHARE} C beside ${FLOOD} times that of ${kind.name}`;
  const change = (share: number) =>
    `${formatNumber(at(alone, share))} -> ${formatNumber(at(beside, share))} ms`;
  say(`${name}: p50 ${change(0.5)}, p95 ${change(0.95)}`);
  say(`${name}: its answers by status: ${countStatuses(beside)}`);
  const count = (answers: Answer[][]) => latencies(answers.flat(), 200).length;
  const failed = beside.filter(({ status }) => status !== 200).length;
  return [
    aimed(`${name}: p95 / alone`, at(beside, 0.95) / at(alone, 0.95), measured.aims?.p95),
    aimed(`${name}: its requests without a verdict`, failed, { atMost: 0 }),
    aimed(
      `${name}: all answers / those without turns`,
      count(fair) / count(unfair),
      measured.aims?.answers,
    ),
  ];
}
