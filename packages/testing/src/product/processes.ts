import { type ChildProcess, spawn, type StdioOptions } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ProcessUsage, UsageRequest } from '../../../../tools/bench/programs/watch-process.js';

export type Env = Record<string, string>;

/** A gateway or worker process, started as in production. It logs JSON lines. */
export interface AppProcess {
  child: ChildProcess;
  log: Record<string, unknown>[];
  /** Resolves with the first log line, past or future, that has this `msg`. */
  logged(msg: string): Promise<Record<string, unknown>>;
  /** Sends the signal. Resolves when `log` is complete, with the exit code: `null` after a signal. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

/** A command to start; `uid` and `gid` run it as another user. */
export interface Program {
  command: [string, ...string[]];
  cwd: string;
  env: Env;
  uid?: number;
  gid?: number;
  /** With a channel for messages. */
  isWatched?: boolean;
}

export interface ApiProcess extends AppProcess {
  url: string;
}

/** Settings for one gateway and worker: the suite's Redis with a fresh key prefix, prepared models. */
export function createEnv(overrides: Env = {}): Env {
  return {
    PATH: process.env['PATH'] ?? '',
    REDIS_URL: process.env['REDIS_URL'] ?? '',
    LIVEGATE_MODELS_DIR: process.env['LIVEGATE_MODELS_DIR'] ?? '.data/models',
    LIVEGATE_KEY_PREFIX: `{e2e-${crypto.randomUUID()}}`,
    // `auto` would measure for a second, on cores that other tests use.
    LIVEGATE_ENGINES: '1',
    LIVEGATE_INTRA_OP_THREADS: '1',
    LIVEGATE_MAX_BATCH: '2',
    // On cores that other tests use, a poll of a healthy Redis may take longer than the default allows.
    LIVEGATE_REDIS_TIMEOUT_MS: '2000',
    // Only rolling-restart.test.ts has a load balancer to wait for.
    LIVEGATE_DRAIN_MS: '0',
    ...overrides,
  };
}

export async function startWorker(env: Env): Promise<AppProcess> {
  const worker = startApp('worker', env);
  await worker.logged('ready');
  return worker;
}

/** Starts a gateway on a free port. It becomes ready when a worker is: see `untilReady`. */
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
    await sleep(50);
  }
}

export function startApp(app: 'api' | 'worker', env: Env): AppProcess {
  return startProgram({
    command: [process.execPath, `apps/${app}/dist/bundle/main.js`],
    cwd: root,
    env,
  });
}

const root = resolve(import.meta.dirname, '../../../..');
const watchProcess = resolve(root, 'tools/dist/bench/programs/watch-process.js');

/** The same with a channel by which `readUsage` asks for its resource usage. */
export function startWatchedApp(app: 'api' | 'worker', env: Env): AppProcess {
  const command = [
    process.execPath,
    `--import=${watchProcess}`,
    `apps/${app}/dist/bundle/main.js`,
  ] as const;
  return startProgram({ command: [...command], cwd: root, env, isWatched: true });
}

/** Of a process that `startWatchedApp` has started; after a full garbage collection. */
export async function readCollectedUsage({ child }: AppProcess): Promise<ProcessUsage> {
  const answer = once(child, 'message') as Promise<[ProcessUsage]>;
  child.send('collected' satisfies UsageRequest);
  return (await answer)[0];
}

export function startProgram({ command, isWatched, ...options }: Program): AppProcess {
  const [file, ...args] = command;
  const stdio: StdioOptions = ['ignore', 'pipe', 'inherit', ...(isWatched ? ['ipc' as const] : [])];
  const child = spawn(file, args, { ...options, stdio });
  const log: Record<string, unknown>[] = [];
  const lines = createInterface({ input: child.stdout! });
  lines.on('line', (line) => log.push(JSON.parse(line) as Record<string, unknown>));
  // 'exit' may come before the last lines.
  const closed = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
  const ended = closed.then(([code, signal]) => {
    const last = JSON.stringify(log.at(-1));
    throw new Error(`${command.join(' ')} ended with ${code ?? signal}, its last line: ${last}`);
  });
  // It ends with most tests, when nobody waits for a line.
  ended.catch(() => undefined);
  return { child, log, logged, stop };

  async function logged(msg: string): Promise<Record<string, unknown>> {
    for (;;) {
      const found = log.find((line) => line['msg'] === msg);
      if (found) return found;
      await Promise.race([once(lines, 'line'), ended]);
    }
  }

  async function stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    const [code] = await closed;
    return code;
  }
}
