import { formatTable } from '../format-table.js';
import type { Part } from './bench.js';
import { formatNumber } from './figure.js';
import { runBare } from './bare.js';
import { startNaiveServer } from './naive.js';
import { readUsage, startProduct } from './product.js';
import { interleave, median, medianRatio, percentile, repeatWork, type Rate } from './rounds.js';
import { sendLoad } from './send-load.js';

/** Enough that every engine has the next image at hand, few enough that nobody is refused. */
const SATURATING = 16;
const CROWD = 64;

/** What is lost on the way from the bare model runs to an answer over HTTP. */
export const measureThroughput: Part = async (bench, say) => {
  const { pipeline, seconds, rounds } = bench;
  const { selfie } = bench.photos;
  const product = await startProduct(bench);
  const naive = await startNaiveServer(bench);
  const url = product.urls[0]!;
  try {
    const over = (server: string, connections: number) => () =>
      sendLoad(server, { image: selfie, connections, seconds });
    await Promise.all([over(url, 2)(), over(naive.url, 2)()]);
    await readUsage(product.worker);
    const rates = await interleave<string, Rate>(rounds, {
      bare: () => runBare(bench, selfie),
      'in process': () =>
        repeatWork(() => pipeline.assess(selfie), { concurrency: pipeline.concurrency, seconds }),
      HTTP: over(url, SATURATING),
      naive: over(naive.url, SATURATING),
      'HTTP, 64 callers': over(url, CROWD),
      'naive, 64 callers': over(naive.url, CROWD),
    });
    const { loopDelayP99Ms } = await readUsage(product.worker);
    say(describeRates(rates));
    return [...compare(rates), loopDelayFigure(loopDelayP99Ms)];
  } finally {
    await Promise.all([product.stop(), naive.stop()]);
  }
};

function compare(rates: Record<string, Rate[]>) {
  const of = (name: string) => rates[name]!.map(({ perSecond }) => perSecond);
  const p99 = (name: string) => rates[name]!.map((rate) => percentile(rate.latenciesMs, 0.99));
  const aims = [
    { over: 'HTTP', under: 'in process', atLeast: 0.9 },
    { over: 'in process', under: 'bare', atLeast: 0.85 },
    { over: 'HTTP', under: 'naive', atLeast: 1.3 },
  ];
  return [
    ...aims.map(({ over, under, atLeast }) => ({
      name: `throughput, ${over} / ${under}`,
      value: medianRatio(of(over), of(under)),
      unit: 'x',
      aim: { atLeast },
    })),
    {
      name: 'p99 with 64 callers, HTTP / naive',
      value: medianRatio(p99('HTTP, 64 callers'), p99('naive, 64 callers')),
      unit: 'x',
      aim: { atMost: 1 },
    },
  ];
}

function loopDelayFigure(value: number) {
  const name = "worker's event-loop delay p99, saturated";
  return { name, value, unit: 'ms', aim: { atMost: 20 } };
}

function describeRates(rates: Record<string, Rate[]>): string {
  const lines = Object.entries(rates).map(([name, rounds]) => {
    const latencies = rounds.flatMap(({ latenciesMs }) => latenciesMs);
    const perSecond = median(rounds.map((round) => round.perSecond));
    const times = [0.5, 0.99].map((share) => percentile(latencies, share));
    const cells = latencies.length > 0 ? times.map(formatNumber) : ['', ''];
    return [name, formatNumber(perSecond), ...cells];
  });
  return formatTable(['', 'images/s', 'p50 ms', 'p99 ms'], lines);
}
