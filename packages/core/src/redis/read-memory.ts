import type { Redis } from './connect.js';
import { reachRedis } from './translate-errors.js';

export interface RedisMemory {
  usedBytes: number;
  /** `maxmemory`; 0 is none. */
  limitBytes: number;
}

/** In a cluster, of the leader that is the fullest. */
export async function readMemory(redis: Redis): Promise<RedisMemory> {
  const servers = 'nodes' in redis ? redis.nodes('master') : [redis];
  const infos = await reachRedis(() => Promise.all(servers.map((server) => server.info('memory'))));
  const [fullest] = infos.map(parseMemory).toSorted((a, b) => fillOf(b) - fillOf(a));
  return fullest ?? { usedBytes: 0, limitBytes: 0 };
}

function parseMemory(info: string): RedisMemory {
  const fact = (name: string) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0);
  return { usedBytes: fact('used_memory'), limitBytes: fact('maxmemory') };
}

const fillOf = ({ usedBytes, limitBytes }: RedisMemory) =>
  limitBytes > 0 ? usedBytes / limitBytes : 0;
