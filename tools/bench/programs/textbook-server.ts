// The HTTP side of the textbook queue: `textbook-server.js PREFIX FORM`. As little as a service of
// Express, multer and BullMQ can do: no credentials, admission, log lines, cancellation or metrics. As
// `plain`, it awaits a job as BullMQ's guide does. As `lean`, it omits every round trip and event that
// an answer can do without, and serves Express as fast as Livegate does.
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { createWithPrototypesOf } from '@livegate/api/http/http-server';
import { Queue, QueueEvents } from 'bullmq';
import express from 'express';
import { Redis } from 'ioredis';
import multer from 'multer';

const NAME = 'textbook';
const IMAGE_TTL_SECONDS = 60;
/** BullMQ's guide keeps some finished jobs: without any, a job may end before it is awaited. */
const KEPT_JOBS = 1000;

const [prefix = '', form] = process.argv.slice(2);
const redis = new Redis(process.env['REDIS_URL']!, { maxRetriesPerRequest: null });
const upload = multer({ storage: multer.memoryStorage() }).single('image');
const check = await (form === 'lean' ? openLean() : openPlain());

const app = express();
app
  .get('/readyz', (_request, response) => void response.json({}))
  .post('/face/v1/passive-liveness', upload, async ({ file }, response) => {
    response.json(await check(file!.buffer));
  });
if (form === 'lean') app.disable('etag').disable('x-powered-by');
const server = form === 'lean' ? createServer(createWithPrototypesOf(app), app) : createServer(app);
server.listen(Number(process.env['PORT']), '127.0.0.1');
process.once('disconnect', () => process.exit(0));

async function openPlain() {
  const queue = openQueue({ count: KEPT_JOBS });
  // `waitUntilFinished` listens to the queue once for each job.
  queue.setMaxListeners(0);
  const events = new QueueEvents(NAME, { connection: redis, prefix });
  await events.waitUntilReady();
  return async (image: Buffer): Promise<unknown> => {
    const imageKey = nameImage(randomUUID());
    await redis.set(imageKey, image, 'EX', IMAGE_TTL_SECONDS);
    const job = await queue.add('check', { imageKey });
    return await job.waitUntilFinished(events);
  };
}

/** The worker publishes each result before it completes the job. */
async function openLean() {
  const queue = openQueue(true);
  const waiting = new Map<string, (result: unknown) => void>();
  const subscriber = redis.duplicate();
  await subscriber.subscribe(`${prefix}:replies`);
  subscriber.on('message', (_channel, message) => {
    const { id, result } = JSON.parse(message) as { id: string; result: unknown };
    waiting.get(id)?.(result);
    waiting.delete(id);
  });
  return async (image: Buffer): Promise<unknown> => {
    const id = randomUUID();
    const imageKey = nameImage(id);
    const replied = new Promise((resolve) => waiting.set(id, resolve));
    // One flight: commands of one connection run in order.
    await Promise.all([
      redis.set(imageKey, image, 'EX', IMAGE_TTL_SECONDS),
      queue.add('check', { imageKey }, { jobId: id }),
    ]);
    return await replied;
  };
}

function openQueue(removeOnComplete: true | { count: number }) {
  return new Queue(NAME, { connection: redis, prefix, defaultJobOptions: { removeOnComplete } });
}

function nameImage(id: string): string {
  return `${prefix}:image:${id}`;
}
