import { setTimeout as sleep } from 'node:timers/promises';
import { formatTable } from '../../format-table.js';
import { type Bench, type Figure, formatNumber, type Part } from '../bench.js';
import { credentials } from '../product.js';
import { type Answer, latencies, p99, sendOpenLoad } from './open-load.js';
import {
  aimed,
  countStatuses,
  LOADS_OF_SECONDS,
  measureCapacity,
  type Measured,
  photosOf12,
  selfies,
  type Target,
  withTarget,
} from './target.js';

/** The offered load, as a multiple of what was measured right before. */
const OVERLOAD = 5;
const HANG_UPS_MS = [25_000, 10_000];
/** A check that is answered within this time, and 4 times the p50 without load, meets no queue. */
const RECOVERED_MS = 300;

/**
 * Measures overload, at five times the load that the product carries: how many checks are answered
 * before their callers give up, and how fast others are refused. `--seconds 30` loads for two minutes
 * each. The worker has cores of its own, so refusals by the gateway and requests of the callers take no
 * time from its engines.
 */
export const measureOverload: Part = (bench, say) =>
  withTarget(bench, {}, async (halved, target) => {
    const figures: Figure[] = [];
    for (const kind of [selfies(bench), photosOf12(bench)]) {
      figures.push(...(await measureKind(halved, { target, kind, say })));
    }
    return figures;
  });

async function measureKind(bench: Bench, measured: Measured): Promise<Figure[]> {
  const { target, kind, say } = measured;
  const capacity = await measureCapacity(bench, measured);
  const figures: Figure[] = [];
  for (const hangUpAfterMs of HANG_UPS_MS) {
    const before = await target.countRuns();
    const load = {
      image: kind.image,
      headers: credentials,
      perSecond: OVERLOAD * capacity,
      seconds: LOADS_OF_SECONDS * bench.seconds,
      hangUpAfterMs,
    };
    const started = performance.now();
    const loading = sendOpenLoad(target.url, load);
    await sleep(1000 * load.seconds);
    const recovery = measureRecovery(target, kind.image);
    const answers = await loading;
    const recoveryMs = await recovery;
    const runs = (await target.countRuns()) - before - 1;
    const answered = latencies(answers, 200).length;
    // Answers after the load are not counted: the queue is then emptied without new requests.
    const inTime = answers.filter(({ status, sentAt, ms }) => {
      return status === 200 && sentAt + ms < started + 1000 * load.seconds;
    });
    const name = `${kind.name}, ${OVERLOAD}x for ${load.seconds} s, callers wait ${hangUpAfterMs / 1000} s`;
    say(describe(name, { capacity, answers, runs }));
    const perSecond = inTime.length / load.seconds;
    const toNobody = Math.max(0, (runs - answered) / runs);
    figures.push(
      aimed(`${name}: answered in time / C`, perSecond / capacity, { atLeast: 0.9 }),
      aimed(`${name}: refusals p99, ms`, p99(answers, 503), { atMost: 100 }),
      aimed(`${name}: accepted p99, ms`, p99(answers, 200), { atMost: hangUpAfterMs }),
      aimed(`${name}: recovery, ms`, recoveryMs, { atMost: 5000 }),
      aimed(`${name}: engine runs for callers who left`, toNobody, { atMost: 0.01 }),
    );
  }
  return figures;
}

/** Milliseconds until a check of the same tenant no longer meets a queue. */
async function measureRecovery({ url }: Target, image: Buffer): Promise<number> {
  const started = performance.now();
  for (;;) {
    const load = { image, headers: credentials, perSecond: 1, seconds: 1, hangUpAfterMs: 10_000 };
    const [answer] = await sendOpenLoad(url, load);
    if (answer!.status === 200 && answer!.ms < RECOVERED_MS + 4 * image.length * 1e-3) {
      return performance.now() - started - answer!.ms;
    }
    await sleep(50);
  }
}

function describe(
  name: string,
  { capacity, answers, runs }: { capacity: number; answers: Answer[]; runs: number },
): string {
  const counts = countStatuses(answers);
  const row = [name, formatNumber(capacity), counts, `${runs}`];
  return formatTable(['', 'C/s', 'answers by status, 0: hung up', 'engine runs'], [row]);
}
