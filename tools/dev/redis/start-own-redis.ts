import { mkdir } from 'node:fs/promises';
import type { FoundServer } from './data-dir-record.js';
import { claimDataDir, recordServer, releaseDataDir } from './data-dir-record.js';
import { installRedis } from './install-redis.js';
import type { Machine } from './machine.js';
import { describeMachine, findProgram } from './machine.js';
import { launchServer, stopServer, untilReady, untilSilent } from './redis-server.js';

const serverPrograms = ['redis-server', 'valkey-server'];

export interface RedisOptions {
  /** Where the server keeps its append-only file; made if it is missing. */
  dataDir: string;
  say: (line: string) => void;
  machine?: Machine;
  /** How large its append-only file grows, beyond what it holds, before it is rewritten. */
  rewriteAt?: string;
}

export interface Redis {
  url: string;
  /** Settles when the server is gone; absent where it is not ours to watch. */
  gone?: Promise<unknown>;
  /** Leaves a server alone that we did not start. */
  stop: () => Promise<void>;
}

/** A server of our own on a free loopback port, set up as in production. Throws what to do. */
export async function startOwnRedis(options: RedisOptions): Promise<Redis> {
  const { dataDir } = options;
  const program = await requireServerProgram(options);
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const found = await claimDataDir(dataDir);
  if (found) return await joinServer(found, dataDir);
  try {
    const { server, gone } = await launchServer(program, options);
    return { url: urlOf(server.port), gone, stop: () => stopAndRelease(server.pid, gone, dataDir) };
  } catch (error) {
    await releaseDataDir(dataDir);
    throw error;
  }
}

async function requireServerProgram(options: RedisOptions): Promise<string> {
  const { say, machine = describeMachine() } = options;
  const installed = findProgram(serverPrograms, machine);
  if (installed) return installed;
  await installRedis(machine, say);
  const program = findProgram(serverPrograms, machine);
  if (!program) throw new Error(`Redis was installed, but not into PATH: ${machine.searchPath}`);
  return program;
}

/** Someone else's server is used and left alone; an orphan becomes ours to stop. */
async function joinServer(found: FoundServer, dataDir: string): Promise<Redis> {
  const { isOrphan, ...server } = found;
  const url = urlOf(server.port);
  if (!(await untilReady(server))) throw new Error(`the Redis that used ${dataDir} has just ended`);
  const gone = untilSilent(server);
  if (!isOrphan) return { url, gone, stop: async () => {} };
  await recordServer(dataDir, server);
  return { url, gone, stop: () => stopAndRelease(server.pid, gone, dataDir) };
}

async function stopAndRelease(pid: number, gone: Promise<unknown>, dataDir: string) {
  await stopServer(pid, gone);
  await releaseDataDir(dataDir);
}

function urlOf(port: number): string {
  return `redis://127.0.0.1:${port}`;
}
