import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { describeMachine, findProgram } from '../../../../tools/dev/install-program.js';

/** A Redis server on loopback that a test has started. */
export interface RedisServer {
  process: ChildProcess;
  /** Resolves when the process has exited. */
  stop(signal?: NodeJS.Signals): Promise<void>;
}

/** Starts redis-server with `args`. Resolves when the server has logged the text `ready`. */
export async function startRedisServer(
  args: string[],
  ready = 'Ready to accept connections',
): Promise<RedisServer> {
  const program = findProgram(['redis-server', 'valkey-server'], describeMachine()) ?? '';
  const server = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines: string[] = [];
  for await (const line of createInterface({ input: server.stdout })) {
    lines.push(line);
    if (line.includes(ready)) break;
  }
  if (!lines.at(-1)?.includes(ready))
    throw new Error(`redis-server did not start:\n${lines.join('\n')}`);
  server.stdout.resume();
  return { process: server, stop };

  async function stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (server.exitCode !== null || server.signalCode !== null) return;
    const exit = once(server, 'exit');
    // A process that is stopped by SIGSTOP would not handle SIGTERM.
    server.kill('SIGCONT');
    server.kill(signal);
    await exit;
  }
}

/** Options of redis.conf as arguments, by default with an append-only file and without snapshots. */
export function redisArgs(options: Record<string, string>): string[] {
  const all = { bind: '127.0.0.1', appendonly: 'yes', save: '', ...options };
  return Object.entries(all).flatMap(([name, value]) => [`--${name}`, value]);
}

const POLL_MS = 25;
const AGREE_WITHIN_MS = 20_000;

/** Polls until the servers have exchanged their state. `vi.waitUntil` does not work in a globalSetup. */
export async function untilAgreed(isAgreed: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + AGREE_WITHIN_MS;
  while (!(await isAgreed())) {
    if (performance.now() > deadline) throw new Error('the servers did not agree in time');
    await sleep(POLL_MS);
  }
}
