import { open, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  connectForRequests,
  createKeys,
  readAuditStream,
  type Redis,
  replaceStreamedLine,
} from '@livegate/core/redis';
import { createLog } from '@livegate/core/telemetry';
import { parseLine, redactLine } from '@livegate/worker/jobs/audit/audit-chain';
import { AUDIT_FILE_ENDING } from '@livegate/worker/jobs/audit/audit-file';

/** Milliseconds until a silent Redis fails the command. */
const REDIS_TIMEOUT_MS = 10_000;

/** The lines of a file or of a stream, in its order. */
export interface AuditSource {
  name: string;
  kind: 'file' | 'stream';
  lines: string[];
  /** Bytes after the last line break of a file: a write that was interrupted. */
  restBytes: number;
}

export interface OpenedAudit {
  sources: AuditSource[];
  /** Whether it is a folder, which should have every chain that its chains name. */
  isFolder: boolean;
  /** Blanks the records of one check; returns how many. */
  redact(id: string): Promise<number>;
  close(): Promise<void>;
}

export interface ReadAuditOptions {
  /** Start of the keys of a stream. */
  keyPrefix: string;
}

/**
 * Reads a file, a folder of `.jsonl` files, or the stream of a Redis URL. Throws an Error for what
 * cannot be read.
 */
export async function openAudit(place: string, options: ReadAuditOptions): Promise<OpenedAudit> {
  if (/^rediss?(\+\w+)?:\/\//.test(place)) return await openStream(place, options);
  const isFolder = (await stat(place)).isDirectory();
  const paths = isFolder ? await listFiles(place, AUDIT_FILE_ENDING) : [place];
  return {
    sources: await Promise.all(paths.map(readSource)),
    isFolder,
    redact: async (id) => {
      const counts = await Promise.all(paths.map((path) => redactFile(path, id)));
      return counts.reduce((a, b) => a + b, 0);
    },
    close: async () => undefined,
  };
}

/** All files below a folder whose names end so, in order. */
export async function listFiles(folder: string, ending = ''): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && entry.name.endsWith(ending))
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted();
}

async function readSource(path: string): Promise<AuditSource> {
  const lines = (await readFile(path, 'utf8')).split('\n');
  const rest = lines.pop() ?? '';
  return { name: path, kind: 'file', lines, restBytes: Buffer.byteLength(rest) };
}

/** Overwrites lines where they are, because a worker may append to the file. */
async function redactFile(path: string, id: string): Promise<number> {
  // One character a byte: a byte that is not valid UTF-8 must not move the places of later lines.
  const lines = (await readFile(path, 'latin1')).split('\n').slice(0, -1);
  const file = await open(path, 'r+');
  let position = 0;
  let count = 0;
  try {
    for (const bytes of lines) {
      const line = Buffer.from(bytes, 'latin1').toString();
      if (isOf(line, id)) {
        await file.write(redactLine(line), position);
        count += 1;
      }
      position += bytes.length + 1;
    }
    await file.datasync();
  } finally {
    await file.close();
  }
  return count;
}

function isOf(text: string, id: string): boolean {
  const payload = parseLine(text)?.payload;
  return payload?.kind === 'check' && payload.id === id;
}

async function openStream(url: string, { keyPrefix }: ReadAuditOptions): Promise<OpenedAudit> {
  const log = createLog('worker', 'silent');
  const redis = connectForRequests({ url, name: 'livegate-replay' }, REDIS_TIMEOUT_MS, log);
  await untilConnected(redis, url);
  const keys = createKeys(keyPrefix);
  const entries = await readAuditStream(redis, keys);
  const lines = entries.map(({ text }) => text);
  return {
    sources: [{ name: keys.audit, kind: 'stream', lines, restBytes: 0 }],
    isFolder: false,
    async redact(id) {
      const found = entries.filter(({ text }) => isOf(text, id));
      for (const { entryId, text } of found) {
        await replaceStreamedLine({ redis, keys }, { entryId, text: redactLine(text).trimEnd() });
      }
      return found.length;
    },
    async close() {
      redis.disconnect();
    },
  };
}

async function untilConnected(redis: Redis, url: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    redis.once('ready', resolve);
    redis.once('close', () => reject(new Error(`cannot reach the Redis at ${hideSecret(url)}`)));
  }).catch((error: unknown) => {
    redis.disconnect();
    throw error;
  });
}

function hideSecret(url: string): string {
  return url.replace(/\/\/[^@/]*@/, '//');
}
