import { connectForBackground, createLog, type Redis } from '@livegate/core';
import type { Part } from './bench.js';
import { makeGreySquare } from './photos.js';
import { startProduct } from './product.js';
import { sendLoad } from './send-load.js';

const IMAGE_BYTES = 100_000;
const CALLERS = 32;
const PER_SECOND = 200;
const WARM_UP_SECONDS = 5;

/** What one check costs a Redis, by its own account: the figures for planning one. */
export const measureRedisCost: Part = async (bench) => {
  const url = bench.env['REDIS_URL']!;
  const redis = connectForBackground({ url, name: 'bench' }, createLog('api', 'fatal'));
  const worker = ['tools/dist/bench/double-worker.js', '16', '0', '0'];
  const idle = await readUsage(redis);
  const product = await startProduct(bench, { worker });
  try {
    const image = await makeGreySquare(IMAGE_BYTES);
    const load = { image, connections: CALLERS, perSecond: PER_SECOND };
    await sendLoad(product.urls[0]!, { ...load, seconds: WARM_UP_SECONDS });
    const before = await readUsage(redis);
    const { latenciesMs } = await sendLoad(product.urls[0]!, { ...load, seconds: bench.seconds });
    const after = await readUsage(redis);
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

async function readUsage(redis: Redis) {
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
