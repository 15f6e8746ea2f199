// The worker of the textbook queue: `textbook-worker.js PREFIX FORM [RUN_MS]`. It has a fake engine that
// takes RUN_MS for an image; without RUN_MS, it has the pipeline of a real worker.
import { writeResult } from '@livegate/core/redis';
import { readWorkerConfig } from '@livegate/worker/config';
import { type Job, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { openPipeline } from '../../open-pipeline.js';
import { typicalResult } from '../typical-result.js';
import { openFakeEngine } from './open-fake-engine.js';

/** As many as a real worker takes with one such engine. */
const FAKE_CONCURRENCY = 3;
/** Every answer has the size of a real worker's. */
const result = writeResult(typicalResult);

const [prefix = '', form, runMs] = process.argv.slice(2);
const pipeline = runMs ? openFake(Number(runMs)) : await openReal();
const redis = new Redis(process.env['REDIS_URL']!, { maxRetriesPerRequest: null });
const worker = new Worker('textbook', runCheck, {
  connection: redis,
  prefix,
  concurrency: pipeline.concurrency,
});
worker.on('error', (error) => console.error(error));
await worker.waitUntilReady();
process.once('disconnect', () => process.exit(0));
process.send!('open');

async function runCheck({ id, data }: Job<{ imageKey: string }>): Promise<unknown> {
  const image = await redis.getdelBuffer(data.imageKey);
  await pipeline.assess(image!);
  if (form !== 'lean') return result;
  await redis.publish(`${prefix}:replies`, JSON.stringify({ id, result }));
  return result;
}

interface Pipeline {
  assess(image: Uint8Array): Promise<unknown>;
  concurrency: number;
}

function openFake(ms: number): Pipeline {
  const engine = openFakeEngine();
  return { assess: () => engine.run(ms), concurrency: FAKE_CONCURRENCY };
}

async function openReal(): Promise<Pipeline> {
  return await openPipeline(readWorkerConfig(process.env));
}
