import { once } from 'node:events';
import { stopServices } from '../../dev/processes.js';
import { formatTable } from '../../format-table.js';
import { runBare } from '../bare.js';
import { type Bench, type Figure, formatNumber, type Part } from '../bench.js';
import { type MoveService, withOwnCores } from '../own-cores.js';
import type { Measured } from '../programs/pipeline-process.js';
import {
  readUsage,
  sendLoad,
  startNaiveServer,
  startProduct,
  startTextbookQueue,
  startWatched,
  WARM_UP_SECONDS,
} from '../product.js';
import { interleave, median, medianRatio, percentile, type Rate, repeatWork } from '../rounds.js';

/** Callers: enough to keep every engine busy, few enough that none is refused. */
const SATURATING = 16;
const CROWD = 64;

/** Measures what is lost between bare model runs and answers over HTTP. */
export const measureThroughput: Part = async (bench, say) => {
  const { pipeline, seconds, rounds } = bench;
  const { selfie } = bench.photos;
  const product = await startProduct(bench);
  const naive = await startNaiveServer(bench);
  const url = product.urls[0]!;
  try {
    const over = (server: string, connections: number, forSeconds: number) =>
      sendLoad(server, { image: selfie, connections, seconds: forSeconds });
    const inProcess = (forSeconds: number) => {
      const load = { concurrency: pipeline.concurrency, seconds: forSeconds };
      return repeatWork(() => pipeline.assess(selfie), load);
    };
    for (const server of [url, naive.url]) await over(server, SATURATING, WARM_UP_SECONDS);
    await inProcess(WARM_UP_SECONDS);
    const rates = await interleave<string, Rate>(rounds, {
      bare: () => runBare(bench, selfie),
      'in process': () => inProcess(seconds),
      HTTP: () => over(url, SATURATING, seconds),
      naive: () => over(naive.url, SATURATING, seconds),
      'HTTP, 64 callers': () => over(url, CROWD, seconds),
      'naive, 64 callers': () => over(naive.url, CROWD, seconds),
    });
    // Watching takes CPU time, so it must not fall into the rounds.
    await readUsage(product.worker, 'watch');
    await over(url, SATURATING, seconds);
    const { loopDelayP99Ms } = await readUsage(product.worker);
    say(describeRates(rates));
    return [...compareRates(rates), loopDelayFigure(loopDelayP99Ms)];
  } finally {
    await Promise.all([product.stop(), naive.stop()]);
  }
};

function compareRates(rates: Record<string, Rate[]>) {
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

/**
 * Measures what HTTP, the queue and the reply add to the latency of a single caller, in Livegate and in
 * the textbook queue.
 */
export const measureLatency: Part = async (bench, say) => {
  const { pipeline, seconds, rounds } = bench;
  const { selfie: image } = bench.photos;
  const product = await startProduct(bench);
  const plain = await startTextbookQueue(bench, { form: 'plain' });
  const lean = await startTextbookQueue(bench, { form: 'lean' });
  const urls = {
    HTTP: product.urls[0]!,
    'textbook queue': plain.url,
    'textbook queue, lean': lean.url,
  };
  const sendTo = (url: string, forSeconds: number) =>
    sendLoad(url, { image, connections: 1, seconds: forSeconds });
  try {
    for (const url of Object.values(urls)) await sendTo(url, WARM_UP_SECONDS);
    const over = Object.entries(urls).map(([name, url]) => [name, () => sendTo(url, seconds)]);
    const times = await interleave<string, Rate>(rounds, {
      'in process': () => repeatWork(() => pipeline.assess(image), { concurrency: 1, seconds }),
      ...(Object.fromEntries(over) as Record<string, () => Promise<Rate>>),
    });
    say(describeRates(times));
    return compareLatencies(times);
  } finally {
    await Promise.all([product.stop(), plain.stop(), lean.stop()]);
  }
};

function compareLatencies(times: Record<string, Rate[]>): Figure[] {
  const p50 = (name: string) => times[name]!.map((rate) => percentile(rate.latenciesMs, 0.5));
  const gap = (over: string) => {
    const gaps = p50(over).map((ms, round) => ms - p50('in process')[round]!);
    return { name: `p50 of one caller, ${over} - in process`, value: median(gaps), unit: 'ms' };
  };
  const rivals = ['textbook queue', 'textbook queue, lean'];
  return [{ ...gap('HTTP'), aim: { atMost: 4 } }, ...rivals.map(gap)];
}

/** Measures what the queue costs a worker, and the pipeline it is compared with, on its own cores. */
export const measureOwnCores: Part = async (bench, say) => {
  const { rates, ratio } = await withOwnCores(bench, compareOnOwnCores);
  say(formatTable(['worker on half of the cores', 'images/s'], rates));
  const name = 'throughput, HTTP / in process, worker on cores of its own';
  return [{ name, value: ratio, unit: 'x', aim: { atLeast: 0.9 } }];
};

async function compareOnOwnCores(bench: Bench, moveService: MoveService) {
  const { selfie: image } = bench.photos;
  const product = await startProduct(bench);
  const pipeline = startWatched(['tools/dist/bench/programs/pipeline-process.js'], bench.env);
  try {
    await once(pipeline.process, 'message');
    for (const service of [product.worker, pipeline]) moveService(service);
    const load = { image, connections: SATURATING };
    const overHttp = (seconds: number) => sendLoad(product.urls[0]!, { ...load, seconds });
    const inProcess = async (seconds: number): Promise<Rate> => {
      pipeline.process.send({ image: image.toString('base64'), seconds });
      const [{ perSecond }] = (await once(pipeline.process, 'message')) as [Measured];
      return { perSecond, latenciesMs: [] };
    };
    for (const measure of [overHttp, inProcess]) await measure(WARM_UP_SECONDS);
    const rates = await interleave(bench.rounds, {
      'in process': () => inProcess(bench.seconds),
      HTTP: () => overHttp(bench.seconds),
    });
    const of = (name: keyof typeof rates) => rates[name].map(({ perSecond }) => perSecond);
    return {
      rates: (['in process', 'HTTP'] as const).map((name) => [
        name,
        formatNumber(median(of(name))),
      ]),
      ratio: medianRatio(of('HTTP'), of('in process')),
    };
  } finally {
    await Promise.all([product.stop(), stopServices([pipeline], 5000)]);
  }
}
