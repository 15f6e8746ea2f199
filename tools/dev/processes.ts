import { type ChildProcess, spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Service {
  name: string;
  process: ChildProcess;
  /** Resolves with the reason, once the process has ended. */
  ended: Promise<string>;
}

/**
 * Starts a node program that shares this terminal, but not its signals: a Ctrl-C reaches only
 * us, and we choose the order. Should we be killed, the IPC channel closes and it shuts down.
 */
export function startService(name: string, args: string[], env: NodeJS.ProcessEnv): Service {
  const child = spawn(process.execPath, args, {
    detached: true,
    env,
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
  return { name, process: child, ended };
}

/**
 * Asks one after the other to stop, and ends what does not by force. In their order: the api must
 * answer who waits, and for that the worker must still work.
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

/** Kills whole process groups, so that nothing a service started survives it. */
export function killServices(services: Service[]): void {
  for (const { process: child } of services) {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch {
      // The group is empty: nothing survived.
    }
  }
}

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

// npm passes a terminal's Ctrl-C on to its child, which the terminal has told already.
const echoMs = 500;

/** Resolves at the first signal to stop. `force` is called at any later one: someone is impatient. */
export function untilInterrupted(force: (signal: NodeJS.Signals) => void): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let firstAtMs: number | undefined;
    const onSignal = (signal: NodeJS.Signals): void => {
      const isEcho = firstAtMs !== undefined && performance.now() - firstAtMs < echoMs;
      if (firstAtMs !== undefined && !isEcho) force(signal);
      firstAtMs ??= performance.now();
      resolve(signal);
    };
    for (const signal of signals) process.on(signal, onSignal);
  });
}

const pollMs = 200;
const answerWithinMs = 5000;

/** Resolves when the address answers 200, throws when it has not done so in time. */
export async function untilReady(url: string, withinMs: number): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await answersOk(url))) {
    if (performance.now() > deadline) {
      throw new Error(`${url} was not ready within ${withinMs / 1000} s: see the log above`);
    }
    await sleep(pollMs);
  }
}

async function answersOk(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(answerWithinMs) });
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false; // not listening yet
  }
}

export function isProcessAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0); // signal 0 only asks
  } catch (error) {
    return errorCode(error) === 'EPERM'; // it lives, as another user's
  }
}

/** The code of a node error, such as EADDRINUSE. */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}

/**
 * What Node and the C library read once, at a process's start. libuv's threads decode the images: at
 * least one for each core, or the engines wait. glibc keeps what it frees in up to eight arenas per
 * core, among which megabytes of pixels wander: two keep the memory of a worker flat.
 */
export const nativeEnv = {
  UV_THREADPOOL_SIZE: `${Math.max(4, availableParallelism())}`,
  MALLOC_ARENA_MAX: '2',
};
