import sharp from 'sharp';
import { expect, it, onTestFinished, vi } from 'vitest';
import { selfie } from '@livegate/testing/images/photos';
import { createLoadBalancer } from '@livegate/testing/product/load-balancer';
import { credentials } from '@livegate/testing/product/post-image';
import {
  type AppProcess,
  createEnv,
  startApi,
  startWorker,
} from '@livegate/testing/product/processes';

const pollOptions = { timeout: 20_000, interval: 20 };
const env = createEnv({ LIVEGATE_DRAIN_MS: '500' });

/** Kills the app when the test ends. */
async function start<App extends AppProcess>(starting: Promise<App>): Promise<App> {
  const app = await starting;
  onTestFinished(async () => void (await app.stop('SIGKILL')));
  return app;
}

const isUnfinished = ({ status }: Record<string, unknown>) =>
  status === 'queued' || status === 'processing';

/** Callers that each send one request after another until `stop`. */
function createLoad(balancer: ReturnType<typeof createLoadBalancer>, image: Buffer) {
  const seen = { answered: 0, ended: 0, lost: [] as unknown[] };
  let isOver = false;
  const body = JSON.stringify({ image: image.toString('base64') });
  const headers = { ...credentials, 'content-type': 'application/json' };
  const check = { method: 'POST', path: '/face/v1/passive-liveness', body } as const;

  async function keepCalling(call: () => Promise<void>): Promise<void> {
    while (!isOver) await call().catch((error: unknown) => seen.lost.push(error));
  }

  async function callAndWait(): Promise<void> {
    const { status, body: answer } = await balancer.send({ ...check, headers });
    if (status === 200) seen.answered += 1;
    else seen.lost.push(answer);
  }

  /** Polls without a pause, so that there is always a request on the wire. */
  async function callAndPoll(): Promise<void> {
    const prefer = { ...headers, prefer: 'respond-async' };
    const { status, body: job } = await balancer.send({ ...check, headers: prefer });
    if (status !== 202) return void seen.lost.push(job);
    const poll = { method: 'GET', path: `/v1/jobs/${String(job['id'])}`, headers } as const;
    let ended = job;
    while (isUnfinished(ended)) ended = (await balancer.send(poll)).body;
    if (ended['status'] === 'succeeded') seen.ended += 1;
    else seen.lost.push(ended);
  }

  const calls = [callAndWait, callAndWait, callAndPoll, callAndPoll, callAndPoll];
  const callers = Promise.all(calls.map(keepCalling));
  return {
    seen,
    /** Resolves when `count` more checks of each kind have finished. */
    async untilAnswered(count: number): Promise<void> {
      const { answered, ended } = seen;
      const isDone = () => seen.answered >= answered + count && seen.ended >= ended + count;
      await vi.waitUntil(isDone, pollOptions);
    },
    async stop() {
      isOver = true;
      await callers;
    },
  };
}

it('a rolling restart of gateways and workers under load loses no request and no job', async () => {
  const balancer = createLoadBalancer();
  onTestFinished(balancer.close);
  const workers = [start(startWorker(env)), start(startWorker(env))];
  const gateways = await Promise.all([start(startApi(env)), start(startApi(env))]);
  await Promise.all([...workers, ...gateways.map(({ url }) => balancer.add(url))]);
  const image = await sharp(await selfie())
    .resize(240)
    .jpeg()
    .toBuffer();
  const load = createLoad(balancer, image);
  onTestFinished(load.stop);

  for (const gateway of gateways) {
    await load.untilAnswered(10);
    expect(await gateway.stop()).toBe(0);
    await balancer.add((await start(startApi(env))).url);
  }
  for (const worker of workers) {
    await load.untilAnswered(10);
    expect(await (await worker).stop()).toBe(0);
    await start(startWorker(env));
  }
  await load.untilAnswered(10);
  await load.stop();
  expect(load.seen.lost).toEqual([]);
}, 90_000);
