import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorCode, isProcessAlive } from '../processes.js';
import { findRedisPid } from './ask-redis.js';

// Two servers that write to one append-only file corrupt it. This file records which process started
// the server of a data directory, so that a second process joins that server instead.
const recordName = 'livegate-redis.json';
const startsWithinMs = 3000;
const pollMs = 50;

export interface RunningServer {
  port: number;
  pid: number;
}

/** An orphan is a server whose starting process was killed before it could stop the server. */
export type FoundServer = RunningServer & { isOrphan: boolean };

interface DataDirRecord {
  ownerPid: number;
  server?: RunningServer;
}

/** Claims the directory and returns undefined, or returns the server that already uses it. */
export async function claimDataDir(dataDir: string): Promise<FoundServer | undefined> {
  const deadline = Date.now() + startsWithinMs;
  while (!(await createRecord(dataDir))) {
    const record = await readRecord(dataDir);
    const server = record && (await findServer(record));
    if (server) return server;
    // After the deadline a living process proves nothing: its id may have been reused.
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

/** Undefined while another process writes or removes the record. */
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
