import type { Distribution, ReceivedSample } from '@livegate/core/domain';
import { describe, expect, it } from 'vitest';
import { measureInstallation } from './measure-installation.js';
import { distributionIn, groupByProcess, quantileOf, spanOf } from './measure-processes.js';

const now = 1_000_000_000;

/** Samples every five seconds until now, whose values grow by a fixed amount in each. */
function steadily(
  process: string,
  perSample: Record<string, number>,
  more: Partial<ReceivedSample> = {},
): ReceivedSample[] {
  return Array.from({ length: 30 }, (_, index) => ({
    process,
    kind: 'worker',
    // Longer than samples are kept.
    uptimeMs: 3_600_000 + index * 5000,
    at: now - (29 - index) * 5000,
    values: Object.fromEntries(Object.entries(perSample).map(([key, by]) => [key, by * index])),
    distributions: {},
    ...more,
  }));
}

const distribution = (...counts: number[]): Distribution => ({
  sum: 1,
  buckets: counts.map((count, index) => [
    [null, 0.1, 0.5, 1][index] ?? null,
    [0.1, 0.5, 1][index] ?? null,
    count,
  ]),
});

describe('quantiles', () => {
  it.each([
    [[10, 0, 0, 0], 0.5, 0.05],
    [[5, 5, 0, 0], 0.75, 0.3],
    [[0, 0, 100, 0], 0.99, 0.995],
    [[0, 0, 0, 4], 0.5, 1],
  ])('of buckets %j at %d are %d', (counts, quantile, expected) => {
    expect(quantileOf(distribution(...counts), quantile)).toBeCloseTo(expected);
  });

  it('are missing without a record', () => {
    expect(quantileOf(undefined, 0.5)).toBeUndefined();
    expect(quantileOf({ sum: 0, buckets: [] }, 0.5)).toBeUndefined();
  });

  it('are about the records of the span alone', () => {
    const samples = steadily('g', {});
    samples[0]!.distributions = { checks: distribution(100, 0, 0, 0) };
    samples[29]!.distributions = { checks: distribution(100, 0, 8, 0) };
    const [process] = groupByProcess(samples, now);
    const span = spanOf(process!, now - 60_000, now)!;
    span.from = samples[0]!;
    expect(distributionIn(span, 'checks')?.buckets).toEqual([[0.5, 1, 8]]);
  });
});

describe('the installation', () => {
  it('adds up the rates of all workers, over verdicts, faces not found and failures', () => {
    const { rates } = measureInstallation(
      [
        ...steadily('a', { 'livegate.verdicts{verdict=LOW}': 5 }),
        ...steadily('b', { 'livegate.face_count.failures{reason=no_face}': 10 }),
        ...steadily('c', { 'livegate.check.failures{reason=invalid_image}': 5 }),
      ],
      now,
    );
    expect(rates).toEqual({ checks: 4, refused: 0, failed: 0 });
  });

  it('counts a failed check with a waiting caller once', () => {
    const gateway = steadily(
      'g',
      { 'requests{outcome=internal_error}': 5, 'requests{outcome=overloaded}': 10 },
      { kind: 'gateway' },
    );
    const worker = steadily('a', { 'livegate.check.failures{reason=internal_error}': 5 });
    const { rates, failureCounts } = measureInstallation([...gateway, ...worker], now);
    expect(rates).toMatchObject({ refused: 2, failed: 1 });
    expect(Object.fromEntries(failureCounts)).toEqual({ internal_error: 145, overloaded: 290 });
  });

  it('takes the queue from the newest report, and adds up nothing', () => {
    const of = (process: string, depth: number, at: number): ReceivedSample => ({
      process,
      kind: 'gateway',
      uptimeMs: 3_600_000,
      at,
      values: {
        'livegate.queue.depth{state=waiting}': depth,
        'livegate.queue.depth{state=prioritized}': 1,
        'livegate.queue.depth{state=active}': 2,
        'livegate.queue.oldest.age{state=waiting}': 3,
      },
      distributions: {},
    });
    const { queue } = measureInstallation([of('a', 9, now - 4000), of('b', 7, now - 1000)], now);
    expect(queue).toMatchObject({ waiting: 8, running: 2, oldestAgeSeconds: 3 });
  });

  it('adds up the work of both lanes, and the busy time of the engines of each worker', () => {
    const workers = ['a', 'b'].flatMap((id) => steadily(id, { 'livegate.engine.busy.time': 1 }));
    for (const sample of workers) sample.values['livegate.engine.count'] = 2;
    const gateway = steadily('g', {}, { kind: 'gateway' });
    for (const sample of gateway) {
      sample.values['livegate.queue.depth{state=waiting}'] = 400;
      sample.values['livegate.queue.work{lane=awaited}'] = 2.5;
      sample.values['livegate.queue.work{lane=async}'] = 7.5;
    }
    const { queue, workers: states } = measureInstallation([...workers, ...gateway], now);
    expect(queue.secondsOfWork).toBe(10);
    expect(states.map(({ utilization }) => utilization)).toEqual([0.1, 0.1]);
  });

  it('calls a process silent after 15 s, unless it said that it stops', () => {
    const before = (id: string, more: Partial<ReceivedSample> = {}) =>
      steadily(id, {}).map((sample) => ({ ...sample, at: sample.at - 40_000, ...more }));
    const samples = [
      ...steadily('alive', {}),
      ...before('dead'),
      ...before('stopped', { isLast: true }),
    ];
    const { workers } = measureInstallation(samples, now);
    expect(workers.map(({ id, isSilent, silentSeconds }) => [id, isSilent, silentSeconds])).toEqual(
      [
        ['alive', false, 0],
        ['dead', true, 40],
      ],
    );
  });

  it('calls no process silent when no sample arrives at all', () => {
    const late = steadily('a', {}).map((sample) => ({ ...sample, at: sample.at - 40_000 }));
    expect(measureInstallation(late, now).workers).toMatchObject([{ isSilent: false }]);
  });

  it('counts what a process did before its first sample arrived', () => {
    const late = steadily('a', { 'livegate.verdicts{verdict=LOW}': 0 }).slice(-1);
    late[0]!.uptimeMs = 20_000;
    late[0]!.values['livegate.verdicts{verdict=LOW}'] = 60;
    expect(measureInstallation(late, now).rates.checks).toBe(3);
  });

  it('has a series with one value for each quarter of a minute', () => {
    const samples = steadily('a', { 'livegate.verdicts{verdict=LOW}': 10 });
    const { series } = measureInstallation(samples, now);
    expect(series.checks).toHaveLength(59);
    expect(series.checks.slice(-3)).toEqual([2, 2, 2]);
    expect(series.checks[0]).toBe(0);
    expect(series.p50Ms.at(-1)).toBeNull();
  });
});
