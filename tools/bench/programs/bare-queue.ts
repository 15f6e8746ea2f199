// One side of a bare BullMQ queue: `bare-queue.js add PREFIX INTERVAL_MS` adds a job of a check's size
// every INTERVAL_MS while it is told to, `bare-queue.js work PREFIX RUN_MS` takes them, each for RUN_MS.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { JOB_VERSION } from '@livegate/core/domain';
import { connectForBackground, connectForRequests, writeResult } from '@livegate/core/redis';
import { createLog } from '@livegate/core/telemetry';
import { Queue, Worker } from 'bullmq';
import { typicalResult } from '../typical-result.js';

const NAME = 'bare';
const CONCURRENCY = 16;
const TTL_SECONDS = 24 * 60 * 60;

const [side, prefix = '', milliseconds] = process.argv.slice(2);
const ms = Number(milliseconds);
const log = createLog('worker', 'fatal');
const address = { url: process.env['REDIS_URL']!, name: 'bench-bare' };

if (side === 'add') addJobs();
else takeJobs();
process.once('disconnect', () => process.exit(0));
process.send!('open');

function addJobs(): void {
  const queue = new Queue(NAME, { connection: connectForRequests(address, 5000, log), prefix });
  process.on('message', (message: { seconds: number } | 'usage') => {
    if (message !== 'usage') void addFor(message.seconds).then((added) => process.send!({ added }));
  });

  async function addFor(seconds: number): Promise<number> {
    const from = performance.now();
    const adding: Promise<unknown>[] = [];
    for (let dueMs = 0; dueMs < 1000 * seconds; dueMs += ms) {
      const waitMs = from + dueMs - performance.now();
      if (waitMs > 0) await sleep(waitMs);
      adding.push(queue.add('check', describeJob(), { jobId: randomUUID(), priority: 1 }));
    }
    await Promise.all(adding);
    return adding.length;
  }
}

function describeJob() {
  return {
    version: JOB_VERSION,
    tenant: 'default-tenant',
    baseUrl: 'http://127.0.0.1:8080',
    imageBytes: 54_902,
    replyTo: randomUUID(),
    work: 17.2,
    ms: 17.2,
  };
}

function takeJobs(): void {
  // By the clock, because a timer of 4 ms takes longer and jobs are added every 4 ms.
  let freeAt = 0;
  const run = async () => {
    freeAt = Math.max(freeAt, performance.now()) + ms;
    await sleep(freeAt - performance.now());
    return writeResult(typicalResult);
  };
  const worker = new Worker(NAME, run, {
    connection: connectForBackground(address, log),
    prefix,
    concurrency: CONCURRENCY,
    removeOnComplete: { age: TTL_SECONDS },
  });
  worker.on('error', (error) => log.fatal({ err: error }, 'BullMQ worker error'));
}
