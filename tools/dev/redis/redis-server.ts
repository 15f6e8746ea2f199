import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isProcessAlive } from '../processes.js';
import { findFreePort } from '../ports.js';
import { findRedisPid, pingRedis } from './ask-redis.js';
import type { RunningServer } from './data-dir-record.js';
import { recordServer } from './data-dir-record.js';

const attempts = 3;
const pollMs = 50;
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
    // Stores a finished check as a listpack, 0.9 KB instead of 1.5 KB. All versions know this name.
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
