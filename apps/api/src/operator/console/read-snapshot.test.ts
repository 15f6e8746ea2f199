import {
  createFakeMonitoring,
  createFakeWorkerRegistry,
  exampleWorker,
  type Outage,
} from '@livegate/testing';
import { describe, expect, it } from 'vitest';
import { createSnapshotReader } from './read-snapshot.js';

const hour = 3_600_000;

/** The console of one gateway, with a worker and this gateway alive. Each `read` opens a new reader. */
async function openConsole() {
  const outage: Outage = { away: false };
  const clock = { now: 1000 * hour };
  const now = () => clock.now;
  const monitoring = createFakeMonitoring({ now, outage });
  const registry = createFakeWorkerRegistry(outage);
  const alive = { uptimeMs: 1000, values: {}, distributions: {} };
  await monitoring.publish({ process: 'w1', kind: 'worker', ...alive }, []);
  await monitoring.publish({ process: 'g1', kind: 'gateway', ...alive }, []);
  const open = () =>
    createSnapshotReader({ gateway: 'g1', monitoring, registry, stateReaders: [], now });
  return { clock, outage, monitoring, registry, open, read: () => open().read() };
}

describe('the console', () => {
  it('shows a registered worker that sends no samples, such as one of an earlier version', async () => {
    const { registry, read } = await openConsole();
    await registry.register(exampleWorker);
    const { workers, findings } = await read();
    expect(workers.map(({ id, isMeasured }) => [id, isMeasured])).toEqual([
      ['w1', true],
      [exampleWorker.id, false],
    ]);
    expect(findings).toEqual([]);
  });

  it('shows the latest failed requests by code', async () => {
    const { clock, monitoring, read } = await openConsole();
    await monitoring.noteFailure({ code: 'overloaded', id: 'a', isCheck: false });
    const [failure] = (await read()).failures;
    expect(failure).toEqual({
      code: 'overloaded',
      count: 0,
      requests: [{ id: 'a', at: clock.now }],
    });
  });

  it('adds up the verdicts of all workers by tenant', async () => {
    const { monitoring, read } = await openConsole();
    const worker = { kind: 'worker', uptimeMs: 1000, values: {}, distributions: {} } as const;
    for (const process of ['w1', 'w2']) {
      const tally = { tenant: 'acme', counts: { LOW: 9, HIGH: 1 } };
      await monitoring.publish({ process, ...worker }, [tally]);
    }
    const [tenant] = (await read()).tenants;
    expect(tenant).toMatchObject({ tenant: 'acme' });
    expect(tenant!.hours.at(-1)).toMatchObject({ statuses: { LOW: 18, HIGH: 2 } });
  });

  it('says that Redis does not answer, and keeps nothing of it that it never read', async () => {
    const { outage, read } = await openConsole();
    outage.away = true;
    const { redis, workers, findings } = await read();
    expect({ redis, workers }).toEqual({ redis: { isReachable: false, servers: [] }, workers: [] });
    expect(findings.map(({ id }) => id)).toContain('redis-unreachable');
  });
});
