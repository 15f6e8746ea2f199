import { type FileHandle, mkdir, open, readdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { AuditSink } from '@livegate/core/ports';
import { type AuditLine, type ChainHead, headOf, parseLine } from './audit-chain.js';

export const AUDIT_FILE_ENDING = '.jsonl';

/** Longer than any line: the first line of a chain names models and earlier chains. */
const EDGE_BYTES = 256 * 1024;

/**
 * A new file for one chain, which only its owner can read. A record is on the disk (fdatasync) when
 * `append` resolves. A write that fails, such as on a full disk, is undone.
 */
export async function openAuditFile(folder: string, chain: string): Promise<AuditSink> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, `${chain}${AUDIT_FILE_ENDING}`);
  const file = await open(path, 'ax', 0o600);
  await syncFolder(folder);
  return { ...createFileSink(file), discard: () => file.close().then(() => unlink(path)) };
}

/** The file must be new, and opened for appending. */
export function createFileSink(
  file: Pick<FileHandle, 'appendFile' | 'datasync' | 'truncate' | 'close'>,
): Omit<AuditSink, 'discard'> {
  let bytes = 0;
  let isDirty = false;

  return {
    async append(lines) {
      // Left by a failed write that could not be undone at once.
      if (isDirty) await undo();
      isDirty = true;
      const data = Buffer.from(lines.map((line) => `${line}\n`).join(''));
      try {
        await file.appendFile(data);
        await file.datasync();
      } catch (error) {
        await undo().catch(() => undefined);
        throw error;
      }
      bytes += data.length;
      isDirty = false;
    },
    close: () => file.close(),
  };

  async function undo(): Promise<void> {
    await file.truncate(bytes);
    isDirty = false;
  }
}

/** Makes the name of a new file durable. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** The heads of the folder's chains, except those that a later chain names already. */
export async function readFolderHeads(folder: string): Promise<ChainHead[]> {
  const names = await readdir(folder).catch(() => []);
  const files = names.filter((name) => name.endsWith(AUDIT_FILE_ENDING)).toSorted();
  const edges = await Promise.all(files.map((name) => readEdges(join(folder, name))));
  const named = new Set(edges.flatMap(({ first }) => namedBy(first)).map(({ hash }) => hash));
  return edges.flatMap(({ last }) => (last && !named.has(last.hash) ? [headOf(last)] : []));
}

function namedBy(first: AuditLine | undefined): ChainHead[] {
  return first?.payload?.kind === 'start' ? first.payload.previous : [];
}

/** The first and the last whole line; `undefined` for one that cannot be read. */
async function readEdges(path: string) {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    const read = async (position: number) => {
      const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(EDGE_BYTES), position });
      return buffer.subarray(0, bytesRead).toString('utf8').split('\n');
    };
    const head = await read(0);
    const tail = await read(Math.max(0, size - EDGE_BYTES));
    // The text after the last line break is empty, or an interrupted line.
    return { first: parseLine(head[0]), last: parseLine(tail.at(-2)) };
  } finally {
    await file.close();
  }
}
