import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';

export type Env = Record<string, string>;

/** One api or worker, as it runs in production: a process of its own that logs JSON lines. */
export interface AppProcess {
  child: ChildProcess;
  log: Record<string, unknown>[];
  /** Resolves with the first line of that `msg`, also one from the past. */
  logged(msg: string): Promise<Record<string, unknown>>;
  /** Sends the signal and resolves with the exit code, `null` if it died of the signal. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

/** How to start one; as another user if there is a `uid`. */
export interface Program {
  command: [string, ...string[]];
  cwd: string;
  env: Env;
  uid?: number;
  gid?: number;
}

export interface ApiProcess extends AppProcess {
  url: string;
}

/** The shared settings of one product: a Redis, a key space of its own, prepared models. */
export function createEnv(overrides: Env = {}): Env {
  return {
    PATH: process.env['PATH'] ?? '',
    REDIS_URL: process.env['REDIS_URL'] ?? '',
    LIVEGATE_MODELS_DIR: process.env['LIVEGATE_MODELS_DIR'] ?? '.data/models',
    LIVEGATE_KEY_PREFIX: `{e2e-${crypto.randomUUID()}}`,
    // Measuring them takes a second, and others are at work on the same cores.
    LIVEGATE_ENGINES: '1',
    LIVEGATE_INTRA_OP_THREADS: '1',
    LIVEGATE_MAX_BATCH: '2',
    // Nobody balances a load here, but where that is tested.
    LIVEGATE_DRAIN_MS: '0',
    ...overrides,
  };
}

export async function startWorker(env: Env): Promise<AppProcess> {
  const worker = startApp('worker', env);
  await worker.logged('ready');
  return worker;
}

/** Listens on a free port. Not ready before a worker is: see `untilReady`. */
export async function startApi(env: Env): Promise<ApiProcess> {
  const api = startApp('api', { PORT: '0', ...env });
  const { address } = (await api.logged('listening')) as { address: { port: number } };
  return { ...api, url: `http://127.0.0.1:${address.port}` };
}

/** Resolves when /readyz answers with the given status. */
export async function untilReady(url: string, status = 200): Promise<void> {
  for (;;) {
    const response = await fetch(`${url}/readyz`);
    await response.arrayBuffer();
    if (response.status === status) return;
    await new Promise((again) => setTimeout(again, 50));
  }
}

export function startApp(app: 'api' | 'worker', env: Env): AppProcess {
  const root = resolve(import.meta.dirname, '../..');
  return startProgram({ command: [process.execPath, `apps/${app}/dist/main.js`], cwd: root, env });
}

export function startProgram({ command, ...options }: Program): AppProcess {
  const [file, ...args] = command;
  const child = spawn(file, args, { ...options, stdio: ['ignore', 'pipe', 'inherit'] });
  const log: Record<string, unknown>[] = [];
  const lines = createInterface({ input: child.stdout });
  lines.on('line', (line) => log.push(JSON.parse(line) as Record<string, unknown>));
  return { child, log, logged, stop };

  async function logged(msg: string): Promise<Record<string, unknown>> {
    for (;;) {
      const found = log.find((line) => line['msg'] === msg);
      if (found) return found;
      const ended = once(child, 'exit').then(() =>
        Promise.reject(new Error(`${command.join(' ')} ended`)),
      );
      await Promise.race([once(lines, 'line'), ended]);
    }
  }

  async function stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
    const exit = once(child, 'exit');
    child.kill(signal);
    const [code] = (await exit) as [number | null];
    return code;
  }
}
