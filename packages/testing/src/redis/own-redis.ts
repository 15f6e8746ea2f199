import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findFreePort } from '../../../../tools/dev/ports.js';
import { redisArgs, startRedisServer } from './redis-server.js';

/** A Redis for one test, which may stop, freeze and restart it. Port and append-only file stay the same. */
export async function createOwnRedis(options: Record<string, string> = {}) {
  const dataDir = await mkdtemp(join(tmpdir(), 'livegate-redis-'));
  const port = await findFreePort();
  const startServer = () =>
    startRedisServer(redisArgs({ port: `${port}`, dir: dataDir, ...options }));
  let server = await startServer();

  return {
    dataDir,
    url: `redis://127.0.0.1:${port}`,
    async start() {
      server = await startServer();
    },
    stop: (signal?: NodeJS.Signals) => server.stop(signal),
    freeze: () => server.process.kill('SIGSTOP'),
    thaw: () => server.process.kill('SIGCONT'),
    async remove() {
      await server.stop();
      await rm(dataDir, { recursive: true });
    },
  };
}
