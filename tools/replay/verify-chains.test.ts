import {
  type AuditPayload,
  extendChain,
  parseAuditKey,
  redactLine,
  startChain,
} from '@livegate/worker/jobs/audit/audit-chain';
import { exampleAuditedCheck } from '@livegate/testing/audit';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AuditSource } from './read-audit.js';
import { type VerifyOptions, verifyChains } from './verify-chains.js';

const key = parseAuditKey(Buffer.from('k'.repeat(64)));
const noOptions: VerifyOptions = { keys: [], heads: [], isFolder: true };
const time = '2026-11-26T12:00:00.000Z';

const start = (previous: { chain: string; seq: number; hash: string }[] = []): AuditPayload => ({
  kind: 'start',
  format: 1,
  time,
  worker: 'w',
  version: '1',
  models: [],
  cut_points: { moderate: 0.4, high: 0.7 },
  previous,
});
const end: AuditPayload = { kind: 'end', time, reason: 'worker stopped' };
const checks = (count: number): AuditPayload[] =>
  Array.from({ length: count }, (_, i) => exampleAuditedCheck({ id: `check-${i}` }));

/** A closed chain with so many checks. */
const write = (count: number, chain = 'a') =>
  extendChain(startChain(chain), [start(), ...checks(count), end]);

const asSource = (lines: string[], change: Partial<AuditSource> = {}): AuditSource => ({
  name: 'file',
  kind: 'file',
  lines,
  restBytes: 0,
  ...change,
});

const verify = (lines: string[], options: Partial<VerifyOptions> = {}) =>
  verifyChains([asSource(lines)], { ...noOptions, ...options });
const problemsOf = (lines: string[], options: Partial<VerifyOptions> = {}) =>
  verify(lines, options).findings.map(({ line, problem }) => ({ line, problem }));

/** A chain and the index of one of its lines. */
const chainAndIndex = fc
  .integer({ min: 0, max: 12 })
  .chain((count) =>
    fc.record({ count: fc.constant(count), at: fc.integer({ min: 0, max: count + 1 }) }),
  );

it('a line that names another key is a changed line of a chain whose key is known', () => {
  const { lines } = extendChain(startChain('a'), [start(), ...checks(3), end], key);
  const forged = lines.with(2, lines[2]!.replace(key.id, 'ffffffff'));
  expect(problemsOf(forged, { keys: [key] })).toContainEqual({ line: 3, problem: 'changed' });
});

describe('an undisturbed audit', () => {
  it('has no findings, with and without a key', () => {
    expect(verify(write(3).lines)).toMatchObject({
      findings: [],
      notes: [],
      chains: [{ chain: 'a', seq: 4, checks: 3, redacted: 0, isEnded: true }],
    });
    const signed = extendChain(startChain('a'), [start(), ...checks(2), end], key);
    expect(problemsOf(signed.lines, { keys: [key] })).toEqual([]);
  });

  it('may have the lines of several chains in one stream, in any order', () => {
    const [a, b] = [write(2, 'a').lines, write(1, 'b').lines];
    const mixed = [a[0]!, b[0]!, a[2]!, a[3]!, b[2]!, b[1]!, a[1]!];
    const { findings, chains } = verifyChains([asSource(mixed, { kind: 'stream' })], noOptions);
    expect(findings).toEqual([]);
    expect(chains.map(({ checks: count }) => count)).toEqual([2, 1]);
  });

  it('may have an interrupted last write and no end after a crash, which are noted', () => {
    const { lines } = write(2);
    const source = asSource(lines.slice(0, 3), { restBytes: 17 });
    const { findings, notes } = verifyChains([source], noOptions);
    expect(findings).toEqual([]);
    expect(notes).toEqual([expect.stringMatching('17 bytes'), expect.stringMatching('no end')]);
  });

  it('may have lost its oldest lines in a full stream, which is noted', () => {
    const source = asSource(write(3).lines.slice(2), { kind: 'stream' });
    const { findings, notes } = verifyChains([source], noOptions);
    expect(findings).toEqual([]);
    expect(notes).toEqual([expect.stringMatching('begins at number 2')]);
  });
});

describe('tampering is found', () => {
  it('when any line but the last is removed', () => {
    fc.assert(
      fc.property(chainAndIndex, ({ count, at }) => {
        const { lines } = write(count);
        fc.pre(at < lines.length - 1);
        expect(problemsOf(lines.toSpliced(at, 1))).toEqual([{ line: at + 1, problem: 'removed' }]);
      }),
    );
  });

  it('when lines are cut off at the end and a later head is known', () => {
    fc.assert(
      fc.property(chainAndIndex, ({ count, at }) => {
        const { lines, head } = write(count);
        const problem = at === 0 ? 'removed' : 'cut off';
        const kept = lines.slice(0, at);
        expect(problemsOf(kept, { heads: [head] })).toEqual([{ line: undefined, problem }]);
      }),
    );
  });

  it('when any character of any line is changed', () => {
    fc.assert(
      fc.property(chainAndIndex, fc.nat(), fc.nat(), ({ count, at }, position, other) => {
        const { lines } = write(count);
        const line = lines[at]!;
        const i = position % line.length;
        const letter = String.fromCodePoint(32 + (other % 95));
        fc.pre(letter !== line[i]);
        const changed = line.slice(0, i) + letter + line.slice(i + 1);
        const problems = problemsOf(lines.with(at, changed));
        expect(problems).toContainEqual({ line: at + 1, problem: 'changed' });
      }),
    );
  });

  it('when two lines are swapped', () => {
    fc.assert(
      fc.property(chainAndIndex, fc.nat(), ({ count, at }, other) => {
        const { lines } = write(count);
        const to = other % lines.length;
        fc.pre(to !== at);
        const swapped = lines.with(at, lines[to]!).with(to, lines[at]!);
        const problems = problemsOf(swapped).map(({ problem }) => problem);
        expect(problems).toContain('moved');
      }),
    );
  });

  it('when a line is there twice', () => {
    fc.assert(
      fc.property(chainAndIndex, fc.nat(), ({ count, at }, other) => {
        const { lines } = write(count);
        const to = at + 1 + (other % (lines.length - at));
        const problems = problemsOf(lines.toSpliced(to, 0, lines[at]!));
        expect(problems).toContainEqual({ line: to + 1, problem: 'duplicated' });
      }),
    );
  });

  it('when a line of another audit is inserted', () => {
    const { lines } = write(2);
    const foreign = extendChain(startChain('a'), [start(), ...checks(1), end]).lines;
    expect(problemsOf(lines.toSpliced(2, 0, foreign[2]!))).toContainEqual({
      line: 4,
      problem: 'changed',
    });
    expect(problemsOf([...lines, foreign[2]!])).toContainEqual({ line: 5, problem: 'changed' });
  });

  it('when a whole chain is removed that a later one names', () => {
    const [a, b] = [write(1, 'a'), write(1, 'b')];
    const c = extendChain(startChain('c'), [start([a.head, b.head]), end]);
    expect(problemsOf([...a.lines, ...b.lines, ...c.lines])).toEqual([]);
    expect(problemsOf([...a.lines, ...c.lines])).toEqual([{ line: undefined, problem: 'removed' }]);
    // Cutting the oldest chains off is what an operator does when their time is over.
    expect(verify([...c.lines])).toMatchObject({
      findings: [],
      notes: [/./, /./].map(() => expect.any(String)),
    });
  });

  it('when a chain that a later one names is cut off or rewritten', () => {
    const a = write(2, 'a');
    const b = extendChain(startChain('b'), [start([a.head]), end]);
    expect(problemsOf([...a.lines.slice(0, 3), ...b.lines])).toEqual([
      { line: undefined, problem: 'cut off' },
    ]);
    const other = extendChain(startChain('a'), [start(), ...checks(3), end]);
    expect(problemsOf([...other.lines, ...b.lines])).toEqual([
      { line: undefined, problem: 'changed' },
    ]);
  });

  it('when a line follows the end', () => {
    const { lines } = extendChain(startChain('a'), [start(), end, ...checks(1)]);
    expect(problemsOf(lines)).toEqual([{ line: 3, problem: 'after the end' }]);
  });

  it('when a signed chain is rewritten without the key', () => {
    const forged = write(2).lines;
    expect(new Set(problemsOf(forged, { keys: [key] }).map(({ problem }) => problem))).toEqual(
      new Set(['without a key']),
    );
    const claimed = forged.map((line) => line.replace('"key":null', `"key":"${key.id}"`));
    expect(problemsOf(claimed, { keys: [key] })[0]).toEqual({ line: 1, problem: 'changed' });
  });

  it('and a signed chain says nothing without its key', () => {
    const signed = extendChain(startChain('a'), [start(), end], key);
    expect(() => verify(signed.lines)).toThrow(/signed with the key [0-9a-f]{8}/);
  });

  it('even with line numbers beyond every count', () => {
    const far = extendChain({ chain: 'a', seq: 2 ** 52, hash: '0'.repeat(64) }, checks(1)).lines;
    expect(problemsOf([...write(1).lines, ...far])).toContainEqual({ line: 4, problem: 'removed' });
  });
});

describe('a redacted line', () => {
  it('keeps the chain sound, has nothing of its payload, and is as long as before', () => {
    const { lines } = write(3);
    const redacted = redactLine(lines[2]!);
    expect(redacted).not.toMatch(/check-1|acme|spoof|abab/);
    expect(redacted).toHaveLength(lines[2]!.length);
    const { findings, chains, lines: sound } = verify(lines.with(2, redacted));
    expect(findings).toEqual([]);
    expect(chains).toMatchObject([{ checks: 2, redacted: 1 }]);
    expect(sound).toHaveLength(5);
  });

  it('of which another member was changed is found', () => {
    const { lines } = write(3);
    const forged = redactLine(lines[2]!).replace(/"payload_sha256":"./, '"payload_sha256":"x');
    expect(problemsOf(lines.with(2, forged))).toContainEqual({ line: 3, problem: 'changed' });
  });

  it('is found where it was the start, which names the chains before it', () => {
    const { lines } = write(1);
    const blanked = lines.with(0, redactLine(lines[0]!));
    expect(problemsOf(blanked)).toEqual([{ line: 1, problem: 'changed' }]);
  });

  it('cannot get another payload', () => {
    const { lines } = write(3);
    const other = JSON.stringify(exampleAuditedCheck({ id: 'other' }));
    const forged = redactLine(lines[2]!).trimEnd().replace('"payload":null', `"payload":${other}`);
    expect(problemsOf(lines.with(2, forged))).toEqual([{ line: 3, problem: 'changed' }]);
  });
});
