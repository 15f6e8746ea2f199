import type { AuditSink } from '../ports.js';
import { reachRedis, type Redis } from './connection/connect.js';
import type { Keys } from './keys.js';

/** TTL of the stream after its latest line: an unused audit leaves Redis. */
export const AUDIT_TTL_SECONDS = 7 * 24 * 60 * 60;
/** Entries in one reply. */
const PAGE = 1000;

/** The only field of an entry. */
const FIELD = 'line';

export interface RedisAuditOptions {
  redis: Redis;
  keys: Keys;
  /** The stream keeps about as many lines; the oldest ones leave first. */
  maxLines: number;
}

/** One chain in the stream that all workers share. */
export function openRedisAuditSink(options: RedisAuditOptions, chain: string): AuditSink {
  const { redis, keys, maxLines } = options;
  const used = [keys.audit, keys.auditChain(chain)];
  let count = 0;

  return {
    async append(lines) {
      const limits = [maxLines, AUDIT_TTL_SECONDS, count];
      await reachRedis(() => redis.eval(APPEND_ONCE, used.length, ...used, ...limits, ...lines));
      count += lines.length;
    },
    discard: async () => undefined,
    close: async () => undefined,
  };
}

/** ioredis sends a command again after a lost connection, although Redis may have run it. */
const APPEND_ONCE = `
  local before = tonumber(ARGV[3])
  if tonumber(redis.call('GET', KEYS[2]) or 0) > before then
    return
  end
  for i = 4, #ARGV do
    redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', '${FIELD}', ARGV[i])
  end
  redis.call('EXPIRE', KEYS[1], ARGV[2])
  redis.call('SET', KEYS[2], before + #ARGV - 3, 'EX', ARGV[2])`;

/** An entry of the stream. */
export interface StreamedLine {
  entryId: string;
  text: string;
}

/** The whole stream, oldest entry first. */
export async function readAuditStream(redis: Redis, keys: Keys): Promise<StreamedLine[]> {
  const lines: StreamedLine[] = [];
  for (let from = '-'; ;) {
    const entries = await reachRedis(() => redis.xrange(keys.audit, from, '+', 'COUNT', PAGE));
    lines.push(...entries.map(([entryId, [, text = '']]) => ({ entryId, text })));
    if (entries.length < PAGE) return lines;
    from = `(${lines.at(-1)!.entryId}`;
  }
}

export async function readLatestAuditLine(redis: Redis, keys: Keys): Promise<string | undefined> {
  const entries = await reachRedis(() => redis.xrevrange(keys.audit, '+', '-', 'COUNT', 1));
  return entries[0]?.[1][1];
}

/** An entry cannot be changed: the new text becomes the latest entry. */
export async function replaceStreamedLine(
  { redis, keys }: Pick<RedisAuditOptions, 'redis' | 'keys'>,
  { entryId, text }: StreamedLine,
): Promise<void> {
  await reachRedis(() =>
    redis.multi().xadd(keys.audit, '*', FIELD, text).xdel(keys.audit, entryId).exec(),
  );
}
