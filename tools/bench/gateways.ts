import { formatTable } from '../format-table.js';
import type { Bench, Part } from './bench.js';
import { formatNumber, type Figure } from './figure.js';
import { makeGreySquare } from './photos.js';
import { readUsage, startProduct, type Product } from './product.js';
import { interleave, medianRatio, median } from './rounds.js';
import { sendLoad } from './send-load.js';

const GATEWAYS = [1, 2, 4];
const CALLERS = 32;
/** Checks per second of each gateway where their CPU is compared: all of them leave cores idle. */
const RATE_EACH = 60;
const NO_OP_WORKER = ['tools/dist/bench/double-worker.js', '16', '0', '0'];

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
  return [
    { name: 'no-op engine, one gateway', value: rows[0]!.perSecond, unit: 'jobs/s' },
    await compareNeighbours(bench),
  ];
};

async function measure(bench: Bench, gateways: number) {
  const product = await startProduct(bench, { gateways, worker: NO_OP_WORKER });
  try {
    const { perSecond } = await load([product], { seconds: bench.seconds });
    return { perSecond, ...(await measureCpu([product], bench.seconds)) };
  } finally {
    await product.stop();
  }
}

/**
 * Does a gateway pay for the traffic of others? Each of four has the same load on the same machine:
 * once with a queue in common, and once with a queue and a worker for each.
 */
async function compareNeighbours(bench: Bench): Promise<Figure> {
  const start = (gateways: number) => startProduct(bench, { gateways, worker: NO_OP_WORKER });
  const together = [await start(4)];
  const apart = await Promise.all([start(1), start(1), start(1), start(1)]);
  try {
    await load([...together, ...apart], { seconds: bench.seconds / 2 });
    const cpu = await interleave(bench.rounds, {
      together: () => measureCpu(together, bench.seconds),
      apart: () => measureCpu(apart, bench.seconds),
    });
    const msOf = (name: keyof typeof cpu) => cpu[name].map(({ gatewayMs }) => gatewayMs);
    return {
      name: `gateway CPU per job, one queue for four (${formatNumber(median(msOf('together')))} ms) / four queues`,
      value: medianRatio(msOf('together'), msOf('apart')),
      unit: 'x',
      aim: { atMost: 1.1 },
    };
  } finally {
    await Promise.all([...together, ...apart].map((product) => product.stop()));
  }
}

async function measureCpu(products: Product[], seconds: number) {
  const before = await cpuMs(products);
  const { jobs } = await load(products, { seconds, perSecond: RATE_EACH });
  const after = await cpuMs(products);
  return {
    gatewayMs: (after.gateways - before.gateways) / jobs,
    workerMs: (after.workers - before.workers) / jobs,
  };
}

async function load(products: Product[], pace: { seconds: number; perSecond?: number }) {
  const image = await makeGreySquare();
  const urls = products.flatMap((product) => product.urls);
  const connections = CALLERS / urls.length;
  const rates = await Promise.all(
    urls.map((url) => sendLoad(url, { image, connections, ...pace })),
  );
  return {
    perSecond: rates.reduce((sum, rate) => sum + rate.perSecond, 0),
    jobs: rates.reduce((sum, rate) => sum + rate.latenciesMs.length, 0),
  };
}

async function cpuMs(products: Product[]) {
  const sum = async (services: Product['gateways']) =>
    (await Promise.all(services.map(readUsage))).reduce((total, { cpuMs: ms }) => total + ms, 0);
  return {
    gateways: await sum(products.flatMap(({ gateways }) => gateways)),
    workers: await sum(products.map(({ worker }) => worker)),
  };
}
