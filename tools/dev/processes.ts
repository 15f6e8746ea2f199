import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { get } from 'node:http';
import type { Socket } from 'node:net';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Service {
  name: string;
  process: ChildProcess;
  /** Resolves with the reason when the process has ended. */
  ended: Promise<string>;
}

/**
 * Starts a Node program in its own process group, so that Ctrl-C reaches only this process, which stops
 * services in order. If this process is killed, the IPC channel closes and the service shuts down.
 */
export function startService(
  name: string,
  args: string[],
  { env, output = 'inherit' }: { env: NodeJS.ProcessEnv; output?: 'inherit' | 'ignore' },
): Service {
  const child = spawn(process.execPath, args, {
    detached: true,
    env,
    stdio: ['ignore', output, 'inherit', 'ipc'],
  });
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
  return { name, process: child, ended };
}

/**
 * Stops the services one after another, with SIGKILL after `graceMs`. The order matters: the api must
 * stop first, because it answers its waiting callers while the worker still runs.
 */
export async function stopServices(services: Service[], graceMs: number): Promise<void> {
  for (const service of services) {
    service.process.kill('SIGTERM');
    const force = setTimeout(() => killServices([service]), graceMs);
    await service.ended;
    clearTimeout(force);
  }
  killServices(services);
}

/** Kills whole process groups, so that no child process of a service survives. */
export function killServices(services: Service[]): void {
  for (const { process: child } of services) {
    if (child.pid !== undefined) signalGroup(child.pid, 'SIGKILL');
  }
}

/** Signals all processes of a group. */
export function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // The process group is already empty.
  }
}

// `read` returns when the pipe is closed. The wait has a limit, because a process that has ended counts as
// alive until its new parent has collected it, which the first process of a container may never do.
const guardScript = `read -r _; kill -s TERM -- "-$1"
for _ in 1 2 3 4 5 6 7 8 9 10; do kill -s 0 -- "-$1" || break; sleep 1; done
kill -s KILL -- "-$1"
if [ -n "$2" ]; then rm -rf -- "$2"; fi`;

/**
 * Stops a process group, and then deletes `folder`, when this process ends: even by SIGKILL, which no
 * handler sees. A shell waits for the end of a pipe, and only this process holds the other end of the
 * pipe. Returns a function that ends the shell instead.
 */
export function guardGroup(pid: number, folder = ''): () => void {
  const args = ['-c', guardScript, 'guard', `${pid}`, folder];
  // In its own process group, which the signals to this process do not reach.
  const shell = spawn('/bin/sh', args, { detached: true, stdio: ['pipe', 'ignore', 'ignore'] });
  shell.unref();
  (shell.stdin as Socket).unref();
  return () => void shell.kill('SIGKILL');
}

const signals = ['SIGINT', 'SIGTERM'] as const;

// npm forwards a terminal's Ctrl-C to its child, which has already received the signal from the terminal.
const echoMs = 500;

export interface SignalActions {
  /** Called at every signal to stop but the first. */
  force(): void;
  /** Called at a SIGHUP that somebody has sent; without it, that is a signal to stop. */
  reload?(): void;
}

/** Resolves at the first signal to stop. The SIGHUP of a terminal that closes is one. */
export function untilInterrupted({ force, reload }: SignalActions): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let firstAtMs: number | undefined;
    const onSignal = (signal: NodeJS.Signals): void => {
      const isEcho = firstAtMs !== undefined && performance.now() - firstAtMs < echoMs;
      if (firstAtMs !== undefined && !isEcho) force();
      firstAtMs ??= performance.now();
      resolve(signal);
    };
    for (const signal of signals) process.on(signal, onSignal);
    process.on('SIGHUP', () => (reload && !hasLostTerminal() ? reload() : onSignal('SIGHUP')));
  });
}

const hadTerminal = hasTerminal();

/** The kernel takes the terminal from a process before it sends the SIGHUP. */
function hasLostTerminal(): boolean {
  return process.platform === 'win32' || (hadTerminal && !hasTerminal());
}

function hasTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', 'r'));
    return true;
  } catch {
    return false;
  }
}

const pollMs = 10;
const answerWithinMs = 5000;

/** Resolves when `url` answers 200; rejects after `withinMs`. */
export async function untilReady(url: string, withinMs: number): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await answersOk(url))) {
    if (performance.now() > deadline) {
      throw new Error(`${url} was not ready within ${withinMs / 1000} s: see the log above`);
    }
    await sleep(pollMs);
  }
}

/** Without `fetch`, which takes time to load while the services need the cores. */
function answersOk(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get(url, { timeout: answerWithinMs }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.once('timeout', () => request.destroy());
    request.once('error', () => resolve(false)); // not listening yet
  });
}

export function isProcessAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0); // signal 0 only checks that the process exists
  } catch (error) {
    return errorCode(error) === 'EPERM'; // exists, and belongs to another user
  }
}

/** The code of a Node error, such as EADDRINUSE. */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}

/**
 * Variables that Node and the C library read when a process starts. Node 22 and later read compiled code
 * from the cache, which makes each start but the first take a seventh less CPU time. libuv's threads
 * decode images and need at least one per core, or engines wait. glibc keeps freed memory in up to eight
 * arenas per core, each of which grows by megabytes of pixels; two keep a worker's memory flat.
 */
export const nativeEnv = {
  UV_THREADPOOL_SIZE: `${Math.max(4, availableParallelism())}`,
  MALLOC_ARENA_MAX: '2',
  NODE_COMPILE_CACHE: join(process.cwd(), '.data/compile-cache'),
};
