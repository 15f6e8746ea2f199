import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { findFreePort } from './ports.js';
import { errorCode, isProcessAlive } from './processes.js';

const attempts = 3;
const pollMs = 10;
const watchPollMs = 500;
const stopsWithinMs = 10_000;
const shownLogLines = 8;

interface LaunchedServer {
  server: RunningServer;
  /** Settles when the process has ended. */
  gone: Promise<unknown>;
}

interface LaunchOptions {
  dataDir: string;
  rewriteAt?: string;
}

/** Starts a server in a directory that the caller has claimed. Resolves when it answers. */
export async function launchServer(
  program: string,
  { dataDir, rewriteAt = '64mb' }: LaunchOptions,
): Promise<LaunchedServer> {
  for (let attempt = 1; ; attempt++) {
    const port = await findFreePort();
    const child = spawnServer(program, port, { dataDir, rewriteAt });
    const gone = once(child, 'exit');
    if (child.pid === undefined) await gone; // rejects with the reason
    const server = { port, pid: Number(child.pid) };
    await recordServer(dataDir, server);
    if (await untilReady(server)) return { server, gone };
    const log = await readFile(logPath(dataDir), 'utf8');
    const wasPortTaken = log.includes('Address already in use');
    if (!wasPortTaken || attempt === attempts) throw describeFailure(program, log);
  }
}

/** False if the process ended or another server took its port. */
export async function untilReady({ port, pid }: RunningServer): Promise<boolean> {
  while (isProcessAlive(pid)) {
    if ((await findRedisPid(port)) === pid && (await pingRedis(port))) return true;
    await sleep(pollMs);
  }
  return false;
}

/** Resolves when a server that is not a child process no longer answers. */
export async function untilSilent({ port, pid }: RunningServer): Promise<void> {
  while ((await findRedisPid(port)) === pid) await sleep(watchPollMs);
}

/** SIGTERM lets Redis flush its append-only file; SIGKILL follows after `stopsWithinMs`. */
export async function stopServer(pid: number, gone: Promise<unknown>): Promise<void> {
  signalIfAlive(pid, 'SIGTERM');
  const force = setTimeout(() => signalIfAlive(pid, 'SIGKILL'), stopsWithinMs);
  await gone;
  clearTimeout(force);
}

function spawnServer(program: string, port: number, launch: Required<LaunchOptions>): ChildProcess {
  const { dataDir, rewriteAt } = launch;
  const log = openSync(logPath(dataDir), 'w');
  const options = {
    bind: '127.0.0.1',
    port: String(port),
    dir: dataDir,
    appendonly: 'yes',
    'auto-aof-rewrite-min-size': rewriteAt,
    appendfsync: 'everysec',
    save: '',
    'maxmemory-policy': 'noeviction',
    // Keeps finished checks as listpacks, smaller than hash tables. All versions know this name.
    'hash-max-ziplist-value': '512',
  };
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
  // In its own process group: Ctrl-C must not stop Redis before its clients have stopped.
  const child = spawn(program, args, { detached: true, stdio: ['ignore', log, log] });
  closeSync(log);
  return child;
}

function describeFailure(program: string, log: string): Error {
  const lastLines = log.trim().split('\n').slice(-shownLogLines).join('\n  ');
  return new Error(`${program} did not start. The end of its log:\n  ${lastLines}`);
}

function signalIfAlive(pid: number, signal: NodeJS.Signals): void {
  if (isProcessAlive(pid)) process.kill(pid, signal);
}

function logPath(dataDir: string): string {
  return join(dataDir, 'redis.log');
}

// Two servers that write to one append-only file corrupt it. This file records which process started
// the server of a data directory, so that a second process joins that server instead.
const recordName = 'livegate-redis.json';
const startsWithinMs = 3000;

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

const answerWithinMs = 1000;

/** True if a Redis on this loopback port accepts commands: it needs no password and is not loading. */
export async function pingRedis(port: number): Promise<boolean> {
  return (await askRedis(port, 'PING')).startsWith('+PONG');
}

/** The process id of the Redis on this loopback port, also while it loads; undefined without one. */
export async function findRedisPid(port: number): Promise<number | undefined> {
  const pid = /^process_id:(\d+)/m.exec(await askRedis(port, 'INFO server'))?.[1];
  return pid === undefined ? undefined : Number(pid);
}

/** Sends one inline command; returns the whole answer, or '' without one. QUIT ends the stream. */
async function askRedis(port: number, command: string): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port });
  socket.setTimeout(answerWithinMs, () => socket.destroy());
  socket.end(`${command}\r\nQUIT\r\n`);
  try {
    return await text(socket);
  } catch {
    return '';
  }
}
