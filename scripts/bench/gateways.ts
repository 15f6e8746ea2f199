import { formatTable } from '../format-table.js';
import type { Bench, Part } from './bench.js';
import { formatNumber } from './figure.js';
import { makeGreySquare } from './photos.js';
import { readUsage, startProduct } from './product.js';
import { sendLoad } from './send-load.js';

const GATEWAYS = [1, 2, 4];
const CALLERS = 32;
/** Checks per second of each gateway where their CPU is compared: all of them leave cores idle. */
const RATE_EACH = 60;

/** The whole path with an engine that takes no time: what the gateways and the queue can do. */
export const measureGateways: Part = async (bench, say) => {
  const rows = [];
  for (const gateways of GATEWAYS) rows.push({ gateways, ...(await measure(bench, gateways)) });
  const cpuAt = `CPU ms/job at ${RATE_EACH}/s each:`;
  const header = ['no-op engine, gateways', 'most jobs/s', `${cpuAt} gateway`, 'worker'];
  const lines = rows.map(({ gateways, perSecond, gatewayMs, workerMs }) => [
    `${gateways}`,
    ...[perSecond, gatewayMs, workerMs].map(formatNumber),
  ]);
  say(formatTable(header, lines));
  const [one, , four] = rows;
  const name = 'gateway CPU per job, 4 gateways / 1';
  return [
    { name: 'no-op engine, one gateway', value: one!.perSecond, unit: 'jobs/s' },
    { name, value: four!.gatewayMs / one!.gatewayMs, unit: 'x', aim: { atMost: 1.25 } },
  ];
};

async function measure(bench: Bench, gateways: number) {
  const worker = ['scripts/dist/bench/double-worker.js', '16', '0', '0'];
  const product = await startProduct(bench, { gateways, worker });
  try {
    const image = await makeGreySquare();
    const load = async (seconds: number, pace: { perSecond?: number } = {}) => {
      const connections = CALLERS / gateways;
      const rates = await Promise.all(
        product.urls.map((url) => sendLoad(url, { image, connections, seconds, ...pace })),
      );
      return {
        perSecond: rates.reduce((sum, rate) => sum + rate.perSecond, 0),
        jobs: rates.reduce((sum, rate) => sum + rate.latenciesMs.length, 0),
      };
    };
    const { perSecond } = await load(bench.seconds);
    const before = await cpuMs(product);
    const { jobs } = await load(bench.seconds, { perSecond: RATE_EACH });
    const after = await cpuMs(product);
    return {
      perSecond,
      gatewayMs: (after.gateways - before.gateways) / jobs,
      workerMs: (after.worker - before.worker) / jobs,
    };
  } finally {
    await product.stop();
  }
}

async function cpuMs({ gateways, worker }: Awaited<ReturnType<typeof startProduct>>) {
  const usages = await Promise.all(gateways.map(readUsage));
  return {
    gateways: usages.reduce((sum, usage) => sum + usage.cpuMs, 0),
    worker: (await readUsage(worker)).cpuMs,
  };
}
