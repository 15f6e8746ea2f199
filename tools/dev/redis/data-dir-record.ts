import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorCode, isProcessAlive } from '../processes.js';
import { findRedisPid } from './ask-redis.js';

// Two servers that append to one log destroy it. So whoever starts one first creates this file,
// which tells the next one where that server is, and whether its starter still lives to stop it.
const recordName = 'livegate-redis.json';
const startsWithinMs = 3000;
const pollMs = 50;

export interface RunningServer {
  port: number;
  pid: number;
}

/** An orphan is a server whose starter was killed before it could stop it. */
export type FoundServer = RunningServer & { isOrphan: boolean };

interface DataDirRecord {
  ownerPid: number;
  server?: RunningServer;
}

/** Undefined: the directory is the caller's to use. Otherwise a server already works in it. */
export async function claimDataDir(dataDir: string): Promise<FoundServer | undefined> {
  const deadline = Date.now() + startsWithinMs;
  while (!(await createRecord(dataDir))) {
    const record = await readRecord(dataDir);
    const server = record && (await findServer(record));
    if (server) return server;
    // Process ids are used again, after a reboot for instance: a living one proves nothing for long.
    const isAbandoned = (record && !isAnyAlive(record)) || Date.now() > deadline;
    if (isAbandoned) await releaseDataDir(dataDir);
    else await sleep(pollMs);
  }
  return undefined;
}

export async function recordServer(dataDir: string, server: RunningServer): Promise<void> {
  const record: DataDirRecord = { ownerPid: process.pid, server };
  await writeFile(join(dataDir, recordName), JSON.stringify(record));
}

export async function releaseDataDir(dataDir: string): Promise<void> {
  await rm(join(dataDir, recordName), { force: true });
}

async function createRecord(dataDir: string): Promise<boolean> {
  const record: DataDirRecord = { ownerPid: process.pid };
  try {
    await writeFile(join(dataDir, recordName), JSON.stringify(record), { flag: 'wx' });
    return true;
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false;
    throw error;
  }
}

/** Undefined while another process creates, writes or removes the record. */
async function readRecord(dataDir: string): Promise<DataDirRecord | undefined> {
  try {
    const record: DataDirRecord = JSON.parse(await readFile(join(dataDir, recordName), 'utf8'));
    return record;
  } catch {
    return undefined;
  }
}

async function findServer({ ownerPid, server }: DataDirRecord): Promise<FoundServer | undefined> {
  if (!server || (await findRedisPid(server.port)) !== server.pid) return undefined;
  return { ...server, isOrphan: !isProcessAlive(ownerPid) };
}

function isAnyAlive({ ownerPid, server }: DataDirRecord): boolean {
  return isProcessAlive(ownerPid) || (server !== undefined && isProcessAlive(server.pid));
}
