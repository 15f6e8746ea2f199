import type { Redis } from '@livegate/core/redis';
import { findKeys } from '@livegate/testing/redis/sandbox';
import type { History } from '../history/history.js';
import type { ChaosProduct } from './chaos-product.js';

export interface CensusOptions {
  /** A process was killed: what it held expires by itself, so only keys without a TTL count. */
  mayExpire: boolean;
  /** What a process that an earlier fault killed has left. */
  earlier: ReadonlySet<string>;
}

/** The keys of images and of waiting callers. */
export async function findHeldKeys({ redis: { client }, keys: { prefix } }: ChaosProduct) {
  const names = ['image', 'attached'];
  return (await Promise.all(names.map((name) => findKeys(client, `${prefix}:${name}:*`)))).flat();
}

/** Records what is left of the traffic in Redis and in the gateways. */
export async function takeCensus(
  product: ChaosProduct,
  history: History,
  { mayExpire, earlier }: CensusOptions,
): Promise<void> {
  const { client } = product.redis;
  const { prefix } = product.keys;
  const keys = await findKeys(client, `${prefix}*`);
  const leave = (what: string, count: number) => history.record({ kind: 'left', what, count });

  for (const name of ['image', 'attached']) {
    const held = keys.filter((key) => key.startsWith(`${prefix}:${name}:`) && !earlier.has(key));
    leave(`${name} keys`, mayExpire ? await countEndless(client, held) : held.length);
  }
  leave('deletions', await client.scard(product.keys.deleting));
  for (const queue of ['liveness', 'webhooks']) {
    leave(`unfinished jobs in ${queue}`, await countUnfinished(client, `${prefix}:${queue}`));
  }
  const deleted = history.events.filter(
    (event) => event.kind === 'done' && event.what === 'delete',
  ) as { id: string }[];
  const traces = deleted.filter(({ id }) => keys.some((key) => key.includes(id)));
  leave('traces of deleted checks', traces.length);
  const held = await Promise.all(product.gateways.map(({ metricsUrl }) => countLeases(metricsUrl)));
  leave(
    'leases',
    held.reduce((sum, count) => sum + count, 0),
  );
}

/** Keys without a TTL. */
async function countEndless(client: Redis, keys: string[]): Promise<number> {
  const lives = await Promise.all(keys.map((key) => client.ttl(key)));
  return lives.filter((seconds) => seconds === -1).length;
}

async function countUnfinished(client: Redis, queue: string): Promise<number> {
  const lists = ['wait', 'active'].map((name) => client.llen(`${queue}:${name}`));
  const sets = ['prioritized', 'delayed'].map((name) => client.zcard(`${queue}:${name}`));
  const counts = await Promise.all([...lists, ...sets]);
  return counts.reduce((sum, count) => sum + count, 0);
}

async function countLeases(url: string): Promise<number> {
  const text = await (await fetch(url)).text();
  const held = [...text.matchAll(/^livegate_lease_held\S*\{[^}]*\} (\d+)/gm)];
  if (held.length === 0) throw new Error(`no leases in ${url}`);
  return held.reduce((sum, [, count]) => sum + Number(count), 0);
}
