import type { AuditSink } from '@livegate/core/ports';
import { pino } from 'pino';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { exampleAuditedCheck } from '@livegate/testing/audit';
import { type AuditLine, parseAuditKey } from './audit-chain.js';
import { type AuditTrailOptions, openAuditTrail } from './audit-trail.js';

const key = parseAuditKey(Buffer.from('k'.repeat(64)));

interface Kept {
  chain: string;
  lines: AuditLine[];
}

/** An audit in memory. `failures` are the reasons why the next writes fail. */
async function setUp(change: Partial<AuditTrailOptions> = {}) {
  const chains: Kept[] = [];
  const failures: Error[] = [];
  const held: Promise<void>[] = [];
  const writes: number[] = [];
  const clock = { now: Date.parse('2026-11-26T23:59:59.000Z') };
  const logged: Record<string, unknown>[] = [];
  const log = pino({ level: 'info' }, { write: (line) => void logged.push(JSON.parse(line)) });
  const openSink = async (chain: string): Promise<AuditSink> => {
    const kept: Kept = { chain, lines: [] };
    chains.push(kept);
    return {
      async append(lines) {
        await held.shift();
        const failure = failures.shift();
        if (failure) throw failure;
        writes.push(lines.length);
        kept.lines.push(...lines.map((line) => JSON.parse(line) as AuditLine));
      },
      discard: async () => void chains.splice(chains.indexOf(kept), 1),
      close: async () => undefined,
    };
  };
  const failed = vi.fn<() => void>();
  const facts = { version: '1', models: [], cut_points: { moderate: 0.4, high: 0.7 } };
  const trail = await openAuditTrail(
    { worker: 'w', isRequired: true, facts, ...change },
    {
      openSink,
      findPrevious: async () => {
        const last = chains.at(-1)?.lines.at(-1);
        return last ? [{ chain: last.chain, seq: last.seq, hash: last.hash }] : [];
      },
      observe: { around: (_, write) => write(), failed },
      log,
      now: () => clock.now,
    },
  );
  onTestFinished(() => trail.close());
  const record = (...ids: string[]) =>
    Promise.allSettled(ids.map((id) => trail.record(exampleAuditedCheck({ id }))));
  const kinds = () => chains.map(({ lines }) => lines.map(({ payload }) => payload!.kind));
  return { trail, chains, failures, held, writes, clock, logged, failed, record, kinds };
}

const idsOf = ({ lines }: Kept) =>
  lines.flatMap(({ payload }) => (payload?.kind === 'check' ? [payload.id] : []));

describe('the audit of a worker', () => {
  it('links every line to the line before it', async () => {
    const { chains, record, trail } = await setUp({ key });
    await record('a');
    await record('b', 'c');
    await trail.close();
    const { lines } = chains[0]!;
    expect(lines.map(({ seq }) => seq)).toEqual([0, 1, 2, 3, 4]);
    expect(lines.map(({ prev }) => prev)).toEqual([
      '0'.repeat(64),
      ...lines.slice(0, -1).map(({ hash }) => hash),
    ]);
    expect(new Set(lines.map((line) => line.key))).toEqual(new Set([key.id]));
  });

  it('writes the checks that end during a write together in the next one', async () => {
    const { record, held, writes } = await setUp();
    let go = () => {};
    held.push(new Promise<void>((resolve) => (go = resolve)));
    const first = record('a');
    await expect.poll(() => held).toEqual([]);
    const others = record('b', 'c', 'd');
    await new Promise(setImmediate);
    go();
    await Promise.all([first, others]);
    expect(writes).toEqual([1, 1, 3]);
  });

  it('begins a new chain each day, which names the last line of the chain before', async () => {
    const { chains, record, clock, kinds } = await setUp();
    await record('a');
    clock.now += 1000;
    await record('b');
    expect(kinds()).toEqual([
      ['start', 'check', 'end'],
      ['start', 'check'],
    ]);
    const [before, after] = chains;
    expect(before!.chain < after!.chain).toBe(true);
    expect(after!.lines[0]!.payload).toMatchObject({
      previous: [{ chain: before!.chain, seq: 2, hash: before!.lines[2]!.hash }],
    });
  });

  it('rejects a record that cannot be written, and the next one continues the chain', async () => {
    const { chains, failures, record, failed, trail } = await setUp();
    failures.push(new Error('ENOSPC'));
    expect(await record('a')).toMatchObject([
      { status: 'rejected', reason: { message: 'ENOSPC' } },
    ]);
    expect(trail.findProblem()).toBe('the audit cannot be written');
    expect(failed).toHaveBeenCalledTimes(1);
    expect(await record('b')).toMatchObject([{ status: 'fulfilled' }]);
    expect(trail.findProblem()).toBeUndefined();
    expect(chains[0]!.lines.map(({ seq }) => seq)).toEqual([0, 1]);
  });

  it('that is not required lets checks pass, and its next record counts the lost ones', async () => {
    const { chains, failures, record, failed, logged } = await setUp({ isRequired: false });
    failures.push(new Error('ENOSPC'));
    expect(await record('a', 'b')).toMatchObject([
      { status: 'fulfilled' },
      { status: 'fulfilled' },
    ]);
    await record('c', 'd');
    await record('e');
    expect(failed).toHaveBeenCalledTimes(2);
    expect(logged.filter(({ msg }) => msg === 'audit record lost')).toHaveLength(2);
    expect(idsOf(chains[0]!)).toEqual(['c', 'd', 'e']);
    const lost = chains[0]!.lines.map(
      ({ payload }) => (payload as { lost_before?: number }).lost_before,
    );
    expect(lost).toEqual([undefined, 2, undefined, undefined]);
  });

  it('tries again to begin a chain that could not be written', async () => {
    const { record, failures, clock, kinds } = await setUp();
    clock.now += 1000;
    // The end of the old chain and the start of the new one.
    failures.push(new Error('ENOSPC'), new Error('ENOSPC'));
    expect(await record('a')).toMatchObject([{ status: 'rejected' }]);
    expect(await record('b')).toMatchObject([{ status: 'fulfilled' }]);
    expect(kinds()).toEqual([['start'], ['start', 'check']]);
  });

  it('logs the head of its chain at the start and at the end, without a score or an id', async () => {
    const { trail, record, logged, chains } = await setUp();
    await record('a');
    await trail.close();
    const heads = logged.filter(({ msg }) => msg === 'audit head');
    expect(heads.map(({ seq }) => seq)).toEqual([0, 2]);
    expect(heads.map(({ hash }) => hash)).toEqual([0, 2].map((n) => chains[0]!.lines[n]!.hash));
    expect(Object.keys(heads[0]!).toSorted()).toEqual(
      ['chain', 'hash', 'hostname', 'level', 'msg', 'pid', 'seq', 'time'].toSorted(),
    );
  });

  it('takes no record after its end', async () => {
    const { trail, record, kinds } = await setUp();
    await trail.close();
    expect(await record('a')).toMatchObject([{ status: 'rejected' }]);
    expect(kinds()).toEqual([['start', 'end']]);
  });
});
