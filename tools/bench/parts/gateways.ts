import { connectForBackground, type Redis } from '@livegate/core/redis';
import { createLog } from '@livegate/core/telemetry';
import { formatTable } from '../../format-table.js';
import { type Bench, type Figure, formatNumber, type Part } from '../bench.js';
import { makeGreySquare } from '../photos.js';
import {
  type Product,
  type ProductOptions,
  readUsage,
  sendLoad,
  startProduct,
} from '../product.js';
import { interleave, median, medianRatio } from '../rounds.js';

const GATEWAYS = [1, 2, 4];
const CALLERS = 32;
/** Checks per second of each gateway in the CPU comparison, few enough to leave cores idle. */
const RATE_EACH = 60;
const NO_OP: ProductOptions = {
  worker: ['tools/dist/bench/programs/double-worker.js', '16', '0', '0'],
  // By the work of an image, more callers than engines would have to wait for longer than the default.
  env: { LIVEGATE_MAX_QUEUE_WAIT_MS: '60000' },
};

/** Measures gateways and queue with an engine that takes no time. */
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
  const product = await startProduct(bench, { ...NO_OP, gateways });
  try {
    const { perSecond } = await load([product], { seconds: bench.seconds });
    return { perSecond, ...(await measureCpu([product], bench.seconds)) };
  } finally {
    await product.stop();
  }
}

/**
 * Measures whether other gateways on the same queue cost a gateway CPU time. Four gateways have the same
 * load on the same machine: first with one shared queue, then each with its own queue and worker.
 */
async function compareNeighbours(bench: Bench): Promise<Figure> {
  const start = (gateways: number) => startProduct(bench, { ...NO_OP, gateways });
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
    (await Promise.all(services.map((service) => readUsage(service)))).reduce(
      (total, { cpuMs: ms }) => total + ms,
      0,
    );
  return {
    gateways: await sum(products.flatMap(({ gateways }) => gateways)),
    workers: await sum(products.map(({ worker }) => worker)),
  };
}

const IMAGE_BYTES = 100_000;
const PER_SECOND = 200;
const WARM_UP_SECONDS = 5;

/** Measures what one check costs Redis, from Redis's own counters, for capacity planning. */
export const measureRedisCost: Part = async (bench) => {
  const url = bench.env['REDIS_URL']!;
  const redis = connectForBackground({ url, name: 'bench' }, createLog('api', 'fatal'));
  const idle = await readRedisUsage(redis);
  const product = await startProduct(bench, NO_OP);
  try {
    const image = await makeGreySquare(IMAGE_BYTES);
    const pace = { image, connections: CALLERS, perSecond: PER_SECOND };
    await sendLoad(product.urls[0]!, { ...pace, seconds: WARM_UP_SECONDS });
    const before = await readRedisUsage(redis);
    const { latenciesMs } = await sendLoad(product.urls[0]!, { ...pace, seconds: bench.seconds });
    const after = await readRedisUsage(redis);
    const perCheck = (name: keyof typeof after) =>
      (after[name] - before[name]) / latenciesMs.length;
    const named = `Redis per check of 100 KB at ${PER_SECOND}/s`;
    return [
      { name: `${named}: CPU`, value: perCheck('cpuMs'), unit: 'ms' },
      { name: `${named}: commands`, value: perCheck('commands'), unit: '' },
      { name: `${named}: received`, value: perCheck('bytesIn') / 1000, unit: 'KB' },
      { name: `${named}: sent`, value: perCheck('bytesOut') / 1000, unit: 'KB' },
      { name: 'Redis memory per finished check', value: perCheck('memory') / 1024, unit: 'KiB' },
      {
        name: 'connections to Redis of one gateway and one worker',
        value: after.clients - idle.clients,
        unit: '',
      },
    ];
  } finally {
    await product.stop();
    redis.disconnect();
  }
};

/** From Redis's own counters, since its start. */
export async function readRedisUsage(redis: Redis) {
  const info = await redis.info();
  const fact = (name: string) => Number(new RegExp(`^${name}:([\\d.]+)`, 'm').exec(info)?.[1]);
  return {
    cpuMs: 1000 * (fact('used_cpu_user') + fact('used_cpu_sys')),
    commands: fact('total_commands_processed'),
    bytesIn: fact('total_net_input_bytes'),
    bytesOut: fact('total_net_output_bytes'),
    memory: fact('used_memory'),
    clients: fact('connected_clients'),
  };
}
