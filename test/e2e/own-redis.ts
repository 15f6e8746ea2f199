import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { findFreePort } from '../../scripts/ports.js';
import { describeMachine, findProgram } from '../../scripts/redis/machine.js';

/** A Redis that a test may stop, freeze and start again: on one port, with one append-only file. */
export async function createOwnRedis() {
  const dataDir = await mkdtemp(join(tmpdir(), 'livegate-redis-'));
  const port = await findFreePort();
  const program = findProgram(['redis-server', 'valkey-server'], describeMachine()) ?? '';
  let server: ChildProcess | undefined;

  async function start(): Promise<void> {
    const options = {
      port: `${port}`,
      bind: '127.0.0.1',
      dir: dataDir,
      appendonly: 'yes',
      save: '',
    };
    const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
    server = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    for await (const line of createInterface({ input: server.stdout! })) {
      if (line.includes('Ready to accept connections')) break;
    }
    server.stdout?.resume();
  }

  async function stop(): Promise<void> {
    const exit = once(server!, 'exit');
    server?.kill('SIGCONT');
    server?.kill('SIGTERM');
    await exit;
  }

  await start();
  return {
    url: `redis://127.0.0.1:${port}`,
    start,
    stop,
    freeze: () => server?.kill('SIGSTOP'),
    thaw: () => server?.kill('SIGCONT'),
    async remove() {
      await stop();
      await rm(dataDir, { recursive: true });
    },
  };
}
