import { formatTable } from '../format-table.js';
import type { Part } from './bench.js';
import { formatNumber } from './figure.js';
import { startProduct } from './product.js';
import { interleave, median, percentile, repeatWork, type Rate } from './rounds.js';
import { sendLoad } from './send-load.js';

/** Until the programs' code is compiled: before, each request costs several times as much. */
const WARM_UP_SECONDS = 10;

/** What a single caller pays for HTTP, the queue and the way back. */
export const measureLatency: Part = async (bench, say) => {
  const { pipeline, seconds, rounds } = bench;
  const { selfie } = bench.photos;
  const product = await startProduct(bench);
  try {
    const image = selfie;
    const oneCaller = { image, connections: 1, seconds };
    await sendLoad(product.urls[0]!, { ...oneCaller, seconds: WARM_UP_SECONDS });
    const times = await interleave<string, Rate>(rounds, {
      'in process': () => repeatWork(() => pipeline.assess(selfie), { concurrency: 1, seconds }),
      HTTP: () => sendLoad(product.urls[0]!, oneCaller),
    });
    const p50 = (name: string) => times[name]!.map((rate) => percentile(rate.latenciesMs, 0.5));
    const gaps = p50('HTTP').map((ms, round) => ms - p50('in process')[round]!);
    const lines = ['in process', 'HTTP'].map((name) => [name, formatNumber(median(p50(name)))]);
    say(formatTable(['one caller', 'p50 ms'], lines));
    const name = 'p50 of one caller, HTTP - in process';
    return [{ name, value: median(gaps), unit: 'ms', aim: { atMost: 4 } }];
  } finally {
    await product.stop();
  }
};
