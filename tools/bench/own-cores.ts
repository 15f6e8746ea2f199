import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { connectForBackground, createLog } from '@livegate/core';
import { formatTable } from '../format-table.js';
import { stopServices } from '../dev/processes.js';
import type { Bench, Part } from './bench.js';
import { formatNumber } from './figure.js';
import { startProduct, startWatched } from './product.js';
import { interleave, median, medianRatio, type Rate } from './rounds.js';
import { sendLoad } from './send-load.js';

const SATURATING = 16;

/**
 * What the queue costs a worker that has cores of its own, as on a cluster: half of the cores are the
 * worker's, or the pipeline's that it is compared with, and on the other half are the gateway, Redis
 * and the callers. Linux only: it needs taskset.
 */
export const measureOwnCores: Part = async (bench, say) => {
  const cores = availableParallelism();
  const half = Math.max(1, Math.floor(cores / 2));
  const [own, others] = [`0-${half - 1}`, `${cores - half}-${cores - 1}`];
  const narrowed = { ...bench, env: { ...bench.env, LIVEGATE_ENGINES: `${half}` } };
  const shared = [process.pid, await redisPid(bench)];
  for (const pid of shared) moveTo(others, pid);
  try {
    const { rates, ratio } = await compare(narrowed, own);
    say(formatTable([`worker on ${half} of ${cores} cores`, 'images/s'], rates));
    const name = 'throughput, HTTP / in process, worker on cores of its own';
    return [{ name, value: ratio, unit: 'x', aim: { atLeast: 0.9 } }];
  } finally {
    for (const pid of shared) moveTo(`0-${cores - 1}`, pid);
  }
};

async function compare(bench: Bench, own: string) {
  const { selfie: image } = bench.photos;
  const product = await startProduct(bench);
  const pipeline = startWatched(['tools/dist/bench/pipeline-process.js'], bench.env);
  try {
    await once(pipeline.process, 'message');
    for (const { process: child } of [product.worker, pipeline]) moveTo(own, child.pid!);
    const load = { image, connections: SATURATING, seconds: bench.seconds };
    await sendLoad(product.urls[0]!, load);
    const rates = await interleave(bench.rounds, {
      'in process': async (): Promise<Rate> => {
        pipeline.process.send({ image: image.toString('base64'), seconds: bench.seconds });
        const [perSecond] = (await once(pipeline.process, 'message')) as [number];
        return { perSecond, latenciesMs: [] };
      },
      HTTP: () => sendLoad(product.urls[0]!, load),
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

/** All threads of a process, and those it starts from then on. */
function moveTo(cores: string, pid: number): void {
  execFileSync('taskset', ['--all-tasks', '--cpu-list', '--pid', cores, `${pid}`]);
}

async function redisPid({ env }: Bench): Promise<number> {
  const address = { url: env['REDIS_URL']!, name: 'bench' };
  const redis = connectForBackground(address, createLog('api', 'fatal'));
  const server = await redis.info('server');
  redis.disconnect();
  return Number(/^process_id:(\d+)/m.exec(server)?.[1]);
}
