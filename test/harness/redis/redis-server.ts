import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { describeMachine, findProgram } from '../../../tools/dev/install-program.js';

/** A server of the test's own, on loopback. */
export interface RedisServer {
  process: ChildProcess;
  /** Resolves when it has ended. */
  stop(signal?: NodeJS.Signals): Promise<void>;
}

/** `args` are those of redis-server. Resolves when the server has logged that it is `ready`. */
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
  if (!lines.at(-1)?.includes(ready)) throw new Error(`no Redis:\n${lines.join('\n')}`);
  server.stdout.resume();
  return { process: server, stop };

  async function stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (server.exitCode !== null || server.signalCode !== null) return;
    const exit = once(server, 'exit');
    // One that was stopped would never hear of it.
    server.kill('SIGCONT');
    server.kill(signal);
    await exit;
  }
}

/** Options of redis.conf, as arguments. An append-only file as in production, and no snapshots. */
export function redisArgs(options: Record<string, string>): string[] {
  const all = { bind: '127.0.0.1', appendonly: 'yes', save: '', ...options };
  return Object.entries(all).flatMap(([name, value]) => [`--${name}`, value]);
}

const POLL_MS = 25;
const TOLD_WITHIN_MS = 20_000;

/** Servers tell each other in their own time. Works in a global set-up, where vitest's polling does not. */
export async function untilTold(isTold: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + TOLD_WITHIN_MS;
  while (!(await isTold())) {
    if (performance.now() > deadline) throw new Error('the servers did not agree in time');
    await sleep(POLL_MS);
  }
}
