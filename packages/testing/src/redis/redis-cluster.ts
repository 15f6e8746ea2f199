import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { findFreePort } from '../../../../tools/dev/ports.js';
import { redisArgs, startRedisServer, untilAgreed } from './redis-server.js';

const SLOTS = 16_384;
const MASTERS = 3;
const NODE_TIMEOUT_MS = 1000;

type Node = Awaited<ReturnType<typeof startNode>>;

export interface RedisClusterOptions {
  /** The master of this key gets a replica, so that a test can kill the master. */
  keyToReplicate?: string;
}

/** A Redis Cluster of three masters on loopback. */
export async function startRedisCluster({ keyToReplicate }: RedisClusterOptions = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'livegate-cluster-'));
  const nodes: Node[] = [];
  try {
    for (let i = 0; i < MASTERS; i++) nodes.push(await startNode(folder));
    const masters = [...nodes];
    await shareSlots(masters);
    const leader = await findOwner(masters, keyToReplicate ?? '');
    if (keyToReplicate !== undefined) {
      nodes.push(await startNode(folder));
      await replicate(leader, nodes.at(-1)!);
    }
    const [first, ...others] = masters.map(({ port }) => `127.0.0.1:${port}`);
    const addrs = others.map((addr) => `addr=${addr}`).join('&');
    return { url: `redis+cluster://${first}?${addrs}`, leader, stop };
  } catch (error) {
    await stop();
    throw error;
  }

  async function stop(): Promise<void> {
    for (const { client, server } of nodes) {
      client.disconnect();
      await server.stop('SIGKILL');
    }
    await rm(folder, { recursive: true });
  }
}

async function startNode(folder: string) {
  const [port, busPort] = [await findFreePort(), await findFreePort()];
  const server = await startRedisServer(
    redisArgs({
      port: `${port}`,
      dir: folder,
      appenddirname: `appendonly-${port}`,
      'cluster-enabled': 'yes',
      'cluster-port': `${busPort}`,
      'cluster-config-file': `nodes-${port}.conf`,
      'cluster-node-timeout': `${NODE_TIMEOUT_MS}`,
    }),
  );
  const client = new Redis(port, '127.0.0.1');
  // The test kills one node, which makes its client emit errors.
  client.on('error', () => undefined);
  return { port, busPort, server, client };
}

async function shareSlots(masters: Node[]): Promise<void> {
  const slots = Array.from({ length: SLOTS }, (_, slot) => slot);
  const share = Math.ceil(SLOTS / MASTERS);
  for (const [i, { client }] of masters.entries()) {
    await client.cluster('ADDSLOTS', ...slots.slice(i * share, (i + 1) * share));
    // Distinct epochs from the start save the nodes a round of conflict resolution.
    await client.cluster('SET-CONFIG-EPOCH', i + 1);
    await meet(masters[0]!, masters[i]!);
  }
  const isWhole = async ({ client }: Node) =>
    /cluster_state:ok[^]*cluster_known_nodes:3/.test((await client.cluster('INFO')) as string);
  for (const master of masters) await untilAgreed(() => isWhole(master));
}

async function meet({ client }: Node, { port, busPort }: Node): Promise<void> {
  await client.cluster('MEET', '127.0.0.1', port, busPort);
}

/** Every other master answers with a MOVED error. */
async function findOwner(masters: Node[], key: string): Promise<Node> {
  const answers = await Promise.allSettled(masters.map(({ client }) => client.exists(key)));
  return masters[answers.findIndex(({ status }) => status === 'fulfilled')]!;
}

async function replicate(master: Node, replica: Node): Promise<void> {
  const id = (await master.client.cluster('MYID')) as string;
  await meet(master, replica);
  await untilAgreed(async () => ((await replica.client.cluster('NODES')) as string).includes(id));
  await replica.client.cluster('REPLICATE', id);
  await untilAgreed(async () => (await master.client.info()).includes('state=online'));
}
