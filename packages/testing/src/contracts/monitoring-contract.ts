import { randomUUID } from 'node:crypto';
import {
  type ProcessSample,
  type Tally,
  type TallyPeriod,
  tallyPeriods,
} from '@livegate/core/domain';
import type { CheckQueue, Monitoring, WebhookStore } from '@livegate/core/ports';
import { describe, expect, it } from 'vitest';
import { exampleJob } from '../examples.js';
import { exampleEndpoint } from '../webhook-examples.js';
import { type CreatePort, openPort } from './open-port.js';

/** Monitoring, with the checks and the endpoints that it asks about. */
export interface ObservedMonitoring {
  monitoring: Monitoring;
  queue: Pick<CheckQueue, 'add' | 'hide' | 'delete'>;
  endpoints: Pick<WebhookStore, 'addEndpoint' | 'removeEndpoint'>;
}

const sampleOf = (process: string): ProcessSample => ({
  process,
  kind: 'worker',
  uptimeMs: 1000,
  values: { 'livegate.engine.count': 2 },
  distributions: { checks: { sum: 0.3, buckets: [[0.1, 0.25, 2]] } },
});
const at = expect.any(Number) as number;

export function describeMonitoring(create: CreatePort<ObservedMonitoring>): void {
  describe('Monitoring, samples and tallies', () => {
    it('reads samples in their order, each once, with the time of the store', async () => {
      const { monitoring } = await openPort(create);
      await monitoring.publish(sampleOf('a'), []);
      const first = await monitoring.readSamples();
      expect(first.samples).toEqual([{ ...sampleOf('a'), at }]);
      expect(first.now).toBeGreaterThanOrEqual(first.samples[0]!.at);
      expect(await monitoring.readSamples(first.cursor)).toMatchObject({ samples: [] });
      await monitoring.publish(sampleOf('b'), []);
      const next = await monitoring.readSamples(first.cursor);
      expect(next.samples.map(({ process }) => process)).toEqual(['b']);
      const all = await monitoring.readSamples();
      expect(all.samples.map(({ process }) => process)).toEqual(['a', 'b']);
    });

    it('adds up tallies of the same hour and of the same ten minutes, by tenant', async () => {
      const { monitoring } = await openPort(create);
      const counts = { LOW: 9, HIGH: 1, 'quality face_turned': 2 };
      await monitoring.publish(sampleOf('a'), [{ tenant: 'acme', counts }]);
      await monitoring.publish(sampleOf('b'), [
        { tenant: 'acme', counts },
        { tenant: 'b.c-d', counts: { LOW: 10 } },
      ]);
      for (const period of ['hour', 'slot'] as const) {
        expect(await readSum(monitoring, period)).toEqual([
          { tenant: 'acme', counts: { LOW: 18, HIGH: 2, 'quality face_turned': 4 } },
          { tenant: 'b.c-d', counts: { LOW: 10 } },
        ]);
      }
    });

    it('has no tallies of a period without checks', async () => {
      const { monitoring } = await openPort(create);
      await monitoring.publish(sampleOf('a'), []);
      const { now } = await monitoring.readSamples();
      const number = Math.floor(now / tallyPeriods.hour.ms);
      expect(await monitoring.readTallies('hour', [number - 1, number])).toEqual([[], []]);
    });
  });

  describe('Monitoring, failed requests', () => {
    it('lists them by code, the latest ten, newest first', async () => {
      const { monitoring } = await openPort(create);
      const ids = Array.from({ length: 12 }, (_, n) => `id-${n}`);
      for (const id of ids) {
        await monitoring.noteFailure({ code: 'overloaded', id, isCheck: false });
      }
      await monitoring.noteFailure({ code: 'timeout', id: 'other', isCheck: false });
      const notes = await monitoring.readFailures();
      const idsOf = (code: string) =>
        notes.find((note) => note.code === code)?.requests.map(({ id }) => id);
      expect(idsOf('timeout')).toEqual(['other']);
      expect(idsOf('overloaded')).toEqual(ids.slice(2).toReversed());
    });

    it('forgets a check that is deleted, and does not note it after that', async () => {
      const { monitoring, queue } = await openPort(create);
      const [id, kept] = [randomUUID(), randomUUID()];
      for (const each of [id, kept]) await queue.add(each, exampleJob);
      for (const each of [id, kept]) {
        await monitoring.noteFailure({ code: 'timeout', id: each, isCheck: true });
      }
      await queue.delete(id);
      await monitoring.noteFailure({ code: 'internal_error', id, isCheck: true });
      const rest = [{ code: 'timeout', requests: [{ id: kept, at }] }];
      expect(await monitoring.readFailures()).toEqual(rest);
      await queue.delete(kept);
      expect(await monitoring.readFailures()).toEqual([]);
    });

    it('does not note a hidden check, which a worker still has', async () => {
      const { monitoring, queue } = await openPort(create);
      const id = randomUUID();
      await queue.add(id, exampleJob);
      await queue.hide(id);
      await monitoring.noteFailure({ code: 'timeout', id, isCheck: true });
      expect(await monitoring.readFailures()).toEqual([]);
    });
  });

  describe('Monitoring, receivers of webhooks', () => {
    const [down, other] = ['whe_1', 'webhook_url'].map((endpoint) => ({
      tenant: 'acme',
      endpoint,
    })) as [{ tenant: string; endpoint: string }, { tenant: string; endpoint: string }];

    it('lists those that fail, with their failures in a row, until they answer', async () => {
      const { monitoring, endpoints } = await openPort(create);
      await endpoints.addEndpoint(exampleEndpoint({ tenant: 'acme', id: 'whe_1' }), 9);
      await monitoring.noteAttempt({ ...down, outcome: 'no_answer' });
      await monitoring.noteAttempt({ ...down, outcome: '5xx' });
      await monitoring.noteAttempt({ ...other, outcome: '4xx' });
      const found = await monitoring.readFailingReceivers();
      const ofOther = { ...other, outcome: '4xx', failures: 1, at };
      expect(found.toSorted((a, b) => b.failures - a.failures)).toEqual([
        { ...down, outcome: '5xx', failures: 2, at },
        ofOther,
      ]);
      await monitoring.noteAttempt({ ...down, outcome: '2xx' });
      expect(await monitoring.readFailingReceivers()).toEqual([ofOther]);
      await monitoring.noteAttempt({ ...down, outcome: '5xx' });
      const again = await monitoring.readFailingReceivers();
      expect(again.find(({ endpoint }) => endpoint === 'whe_1')).toMatchObject({ failures: 1 });
    });

    it('forgets an endpoint that is deleted, also when its last attempt ends later', async () => {
      const { monitoring, endpoints } = await openPort(create);
      await endpoints.addEndpoint(exampleEndpoint({ tenant: 'acme', id: 'whe_1' }), 9);
      await monitoring.noteAttempt({ ...down, outcome: '5xx' });
      await endpoints.removeEndpoint({ tenant: 'acme', id: 'whe_1' });
      expect(await monitoring.readFailingReceivers()).toEqual([]);
      await monitoring.noteAttempt({ ...down, outcome: '5xx' });
      expect(await monitoring.readFailingReceivers()).toEqual([]);
    });
  });
}

/** Of this period and the one before: it may have changed while the test ran. By tenant. */
async function readSum(monitoring: Monitoring, period: TallyPeriod): Promise<Tally[]> {
  const { now } = await monitoring.readSamples();
  const current = Math.floor(now / tallyPeriods[period].ms);
  const [former, latest] = await monitoring.readTallies(period, [current - 1, current]);
  const tallies = latest!.length > 0 ? latest! : former!;
  return tallies.toSorted((a, b) => a.tenant.localeCompare(b.tenant));
}
