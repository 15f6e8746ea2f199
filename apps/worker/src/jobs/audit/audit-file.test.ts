import { open, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type ChainHead, extendChain, startChain } from './audit-chain.js';
import { createFileSink, openAuditFile, readFolderHeads } from './audit-file.js';

async function createFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'livegate-audit-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  return join(folder, 'audit');
}

const time = '2026-11-26T12:00:00.000Z';

/** Writes a chain with one end, whose start names earlier heads. */
async function writeChain(folder: string, chain: string, previous: ChainHead[]) {
  const facts = { version: '1', models: [], cut_points: { moderate: 0.4, high: 0.7 } };
  const { lines, head } = extendChain(startChain(chain), [
    { kind: 'start', format: 1, time, worker: 'w', previous, ...facts },
    { kind: 'end', time, reason: 'worker stopped' },
  ]);
  const sink = await openAuditFile(folder, chain);
  await sink.append(lines);
  await sink.close();
  return head;
}

describe('an audit file', () => {
  it('and its folder can be read by their owner only', async () => {
    const folder = await createFolder();
    await writeChain(folder, 'a', []);
    expect((await stat(folder)).mode & 0o777).toBe(0o700);
    expect((await stat(join(folder, 'a.jsonl'))).mode & 0o777).toBe(0o600);
  });

  it('is never opened twice', async () => {
    const folder = await createFolder();
    await writeChain(folder, 'a', []);
    await expect(openAuditFile(folder, 'a')).rejects.toThrow(/EEXIST/);
  });

  it('disappears if its first line cannot be written', async () => {
    const folder = await createFolder();
    const sink = await openAuditFile(folder, 'a');
    await sink.discard();
    expect(await readdir(folder)).toEqual([]);
  });

  it('has no part of a write that failed half-way, nor of one that could not be undone at once', async () => {
    const folder = await createFolder();
    await writeChain(folder, 'other', []);
    const path = join(folder, 'a.jsonl');
    const file = await open(path, 'ax');
    onTestFinished(() => file.close());
    const faults = { write: false, truncate: false };
    const sink = createFileSink({
      async appendFile(data) {
        if (!faults.write) return await file.appendFile(data);
        await file.appendFile((data as Buffer).subarray(0, 3));
        throw new Error('ENOSPC');
      },
      datasync: () => file.datasync(),
      async truncate(bytes) {
        if (faults.truncate) throw new Error('EIO');
        await file.truncate(bytes);
      },
      close: () => file.close(),
    });
    await sink.append(['first']);
    Object.assign(faults, { write: true });
    await expect(sink.append(['second'])).rejects.toThrow('ENOSPC');
    expect(await readFile(path, 'utf8')).toBe('first\n');
    Object.assign(faults, { truncate: true });
    await expect(sink.append(['third'])).rejects.toThrow('ENOSPC');
    Object.assign(faults, { write: false, truncate: false });
    await sink.append(['fourth']);
    expect(await readFile(path, 'utf8')).toBe('first\nfourth\n');
  });

  it('rejects on a full disk', async () => {
    const file = await open('/dev/full', 'a');
    onTestFinished(() => file.close());
    await expect(createFileSink(file).append(['line'])).rejects.toThrow(/ENOSPC/);
  });
});

describe('the heads of a folder', () => {
  it('are those of the chains that no later chain names', async () => {
    const folder = await createFolder();
    const a = await writeChain(folder, 'a', []);
    const b = await writeChain(folder, 'b', []);
    expect(await readFolderHeads(folder)).toEqual([a, b]);
    const c = await writeChain(folder, 'c', [a]);
    expect(await readFolderHeads(folder)).toEqual([b, c]);
  });

  it('ignore an interrupted last line and a damaged file', async () => {
    const folder = await createFolder();
    const a = await writeChain(folder, 'a', []);
    await writeFile(join(folder, 'a.jsonl'), '{"chain":"a"', { flag: 'a' });
    await writeFile(join(folder, 'b.jsonl'), 'not a line\n');
    expect(await readFolderHeads(folder)).toEqual([a]);
  });

  it('are none before there is a folder', async () => {
    expect(await readFolderHeads('/nowhere/audit')).toEqual([]);
  });
});
