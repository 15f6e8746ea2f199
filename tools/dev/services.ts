import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';

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
