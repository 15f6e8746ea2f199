import { createLeases } from '@livegate/core/domain';
import { createRedisCheckQueue, createRedisWorkerRegistry } from '@livegate/core/redis';
import { createFakeImageStore, exampleJob, exampleWorker } from '@livegate/testing';
import { openSandbox, silentLog } from '@livegate/testing/redis/sandbox';
import { expect, onTestFinished, test } from 'vitest';
import { openAdmission } from '../../apps/api/src/admission/admission.js';

const flood = { tenant: 'flood', waitMs: 25_000 };
const other = { tenant: 'other', waitMs: 25_000 };

/** Two gateways on one Redis, and a worker that does 1000 ms of work in a second. */
async function openGateways() {
  const sandbox = await openSandbox();
  onTestFinished(sandbox.close);
  const registry = createRedisWorkerRegistry(sandbox.redis, sandbox.keys);
  await registry.register({ ...exampleWorker, workPerSecond: 1000 });
  const open = async () => {
    const queue = createRedisCheckQueue({ ...sandbox, resultTtlSeconds: 60 });
    const admission = openAdmission({
      renew: async () => undefined,
      queue,
      registry,
      imageStore: createFakeImageStore(),
      settings: { findProblem: () => undefined },
      maxWaiting: 1000,
      maxQueueWaitMs: 3000,
      maxAsyncWaitMs: 30_000,
      weightOf: () => 1,
      redisTimeoutMs: 5000,
      leases: createLeases(),
      log: silentLog,
    });
    onTestFinished(async () => {
      admission.close();
      await queue.close();
    });
    await admission.firstPoll;
    let added = 0;
    /** Admits and queues a check as a request does. */
    const submit = async (asked: typeof flood, work: number) => {
      using place = admission.admit(asked);
      const { rank, ...facts } = await place.takeRank(work);
      const id = `${asked.tenant}-${(added += 1)}`;
      await queue.add(id, { ...exampleJob, tenant: asked.tenant, ...facts }, rank);
      place.queued();
    };
    return { admission, submit };
  };
  return Promise.all([open(), open()]);
}

/** Queues checks of 100 ms until one is refused. Returns how many were queued. */
async function fill({ submit }: { submit(asked: typeof flood, work: number): Promise<void> }) {
  for (let queued = 0; ; queued += 1) {
    const refused = await submit(flood, 100).then(
      () => undefined,
      (error: unknown) => error,
    );
    if (refused === undefined) continue;
    expect(refused).toMatchObject({ code: 'overloaded', retryAfterSeconds: 2 });
    return queued;
  }
}

test('two gateways together queue no more of a tenant than its callers may wait for', async () => {
  const [first, second] = await openGateways();
  // The second gateway may not have read the checks of the first one yet: the rank decides.
  const queued = (await fill(first)) + (await fill(second));
  expect(queued).toBeGreaterThanOrEqual(29);
  expect(queued).toBeLessThanOrEqual(32);
  await second.submit(other, 100);
});

test('a gateway refuses by what others have queued before it reads a body', async () => {
  const [first, second] = await openGateways();
  await fill(first);
  await fill(second);
  const refuses = (asked: typeof flood) => {
    try {
      second.admission.admit(asked).release();
      return false;
    } catch {
      return true;
    }
  };
  await expect.poll(() => refuses({ ...flood, waitMs: 2000 })).toBe(true);
  expect(refuses({ ...other, waitMs: 2000 })).toBe(false);
});
