import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { findFreePort } from '../../../../tools/dev/ports.js';
import { redisArgs, type RedisServer, startRedisServer, untilAgreed } from './redis-server.js';

const SENTINELS = 3;
const QUORUM = 2;
const DOWN_AFTER_MS = 500;

/** A master, its replica and three Sentinels on loopback. */
export async function startRedisSentinels() {
  const folder = await mkdtemp(join(tmpdir(), 'livegate-sentinel-'));
  const servers: RedisServer[] = [];
  const clients: Redis[] = [];
  try {
    const leader = await startData({});
    const port = `${leader.client.options.port}`;
    await startData({ replicaof: `127.0.0.1 ${port}` });
    await untilAgreed(async () => (await leader.client.info()).includes('state=online'));
    const sentinels = [];
    for (let i = 0; i < SENTINELS; i++) sentinels.push(await startSentinel(port));
    for (const { client } of sentinels) await untilAgreed(() => knowsAll(client));
    const [first, ...others] = sentinels.map(({ addr }) => addr);
    const addrs = others.map((addr) => `&addr=${addr}`).join('');
    return { url: `redis+sentinel://${first}?master=main${addrs}`, leader, stop };
  } catch (error) {
    await stop();
    throw error;
  }

  async function startData(options: Record<string, string>) {
    const port = await findFreePort();
    const own = { port: `${port}`, dir: folder, appenddirname: `appendonly-${port}` };
    const server = await startRedisServer(redisArgs({ ...own, ...options }));
    servers.push(server);
    return { server, client: connect(port) };
  }

  async function startSentinel(masterPort: string) {
    const port = await findFreePort();
    const file = join(folder, `sentinel-${port}.conf`);
    // Sentinel requires a configuration file: it stores its state there.
    const lines = [
      `port ${port}`,
      'bind 127.0.0.1',
      `dir ${folder}`,
      `sentinel monitor main 127.0.0.1 ${masterPort} ${QUORUM}`,
      `sentinel down-after-milliseconds main ${DOWN_AFTER_MS}`,
    ];
    await writeFile(file, `${lines.join('\n')}\n`);
    servers.push(await startRedisServer([file, '--sentinel'], '+monitor master'));
    return { client: connect(port), addr: `127.0.0.1:${port}` };
  }

  function connect(port: number): Redis {
    const client = new Redis(port, '127.0.0.1');
    // The test kills one server, which makes its client emit errors.
    client.on('error', () => undefined);
    clients.push(client);
    return client;
  }

  async function stop(): Promise<void> {
    for (const client of clients) client.disconnect();
    for (const server of servers) await server.stop('SIGKILL');
    await rm(folder, { recursive: true });
  }
}

/** A Sentinel can promote the replica only if it knows the replica and enough other Sentinels. */
async function knowsAll(sentinel: Redis): Promise<boolean> {
  const [master] = (await sentinel.call('SENTINEL', 'MASTERS')) as string[][];
  const fact = (name: string) => Number(master?.[master.indexOf(name) + 1]);
  return fact('num-slaves') === 1 && fact('num-other-sentinels') === SENTINELS - 1;
}
