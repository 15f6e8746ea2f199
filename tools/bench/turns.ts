import { formatTable } from '../format-table.js';
import { openBacklog } from './backlog.js';
import type { Bench, Part } from './bench.js';
import { formatNumber } from './figure.js';
import { startProduct } from './product.js';
import { drainBacklog } from './queue.js';
import { interleave, median, medianRatio, percentile, type Rate } from './rounds.js';
import { sendLoad } from './send-load.js';

const BACKLOG = 300;
const CALLERS = 4;
const WARM_UP_SECONDS = 5;

/** A gateway that is none: a check with its address is taken for one that somebody waits for. */
const NOBODY = 'nobody';

const NO_OP = { batch: 16, runMs: 0, itemMs: 0 };
const DRAINED = 6000;

/** Callers who wait, beside a backlog of checks that nobody waits for: what do turns change? */
export const measureTurns: Part = async (bench, say) => {
  const { rounds } = bench;
  const behind = await interleave<string, Rate>(rounds, {
    'no backlog': () => callBeside(bench, 0),
    'one queue for all': () => callBeside(bench, BACKLOG, NOBODY),
    'waiting callers first': () => callBeside(bench, BACKLOG),
  });
  const at = (name: string, share: number) =>
    median(behind[name]!.map(({ latenciesMs }) => percentile(latenciesMs, share)));
  const lines = Object.keys(behind).map((name) => [
    name,
    ...[at(name, 0.5), at(name, 0.95)].map(formatNumber),
  ]);
  say(
    formatTable([`${CALLERS} callers, ${BACKLOG} checks before them`, 'p50 ms', 'p95 ms'], lines),
  );
  const drained = await interleave<string, number>(rounds, {
    plain: () => drainBacklog(bench, { ...NO_OP, replyTo: NOBODY }, DRAINED),
    yielding: () => drainBacklog(bench, NO_OP, DRAINED),
  });
  return [
    {
      name: `p95 of ${CALLERS} callers beside ${BACKLOG} async checks, with turns / without`,
      value: at('waiting callers first', 0.95) / at('one queue for all', 0.95),
      unit: 'x',
      aim: { atMost: 0.2 },
    },
    {
      name: 'jobs/s of async checks, no-op engine, with turns / without',
      value: medianRatio(drained['yielding']!, drained['plain']!),
      unit: 'x',
      aim: { atLeast: 0.95 },
    },
  ];
};

/** What callers meet from the moment on when that many checks wait already. */
async function callBeside(bench: Bench, checks: number, replyTo?: string): Promise<Rate> {
  const backlog = await openBacklog(bench.env['REDIS_URL']!);
  const product = await startProduct(bench, { env: { LIVEGATE_KEY_PREFIX: backlog.prefix } });
  try {
    const load = { image: bench.photos.selfie, connections: CALLERS, seconds: WARM_UP_SECONDS };
    await sendLoad(product.urls[0]!, load);
    await backlog.fill(checks, load.image, replyTo);
    const rate = await sendLoad(product.urls[0]!, { ...load, seconds: bench.seconds });
    await backlog.untilWaiting(0);
    return rate;
  } finally {
    await product.stop();
    await backlog.close();
  }
}
