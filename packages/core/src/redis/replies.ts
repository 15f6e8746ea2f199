import { setTimeout as delay } from 'node:timers/promises';
import type { CheckOutcome } from '../domain/check.js';
import type { Lease, Leases } from '../domain/leases.js';
import type { ReplyInbox, ReplyOutbox, ReplyWaiter } from '../ports.js';
import { createReplyWaiters } from '../runtime/reply-waiters.js';
import type { Log } from '../telemetry/log.js';
import { traceReceive, traceSend } from '../telemetry/traces.js';
import { reachRedis, type Redis } from './connection/connect.js';
import type { Keys } from './keys.js';

/** About this many replies are kept for a gateway that is too slow to read them. */
const MAX_REPLIES = 10_000;
/** A stream outlives its last reply by this: long enough to reconnect, too short to pile up. */
const STREAM_LIFE_SECONDS = 120;
/** How long one read of the stream blocks. */
export const REPLIES_BLOCK_MS = 5000;
const RETRY_MS = 100;

/** Longer than any wait; an attachment whose gateway died lapses with it. */
const ATTACHMENT_LIFE_SECONDS = 600;

/** Adds each outcome to the stream of every gateway that asked. */
export function createRedisReplyOutbox(redis: Redis, keys: Keys): ReplyOutbox {
  return {
    async send(id, outcome, address) {
      const sendTo = (to: string) =>
        traceSend({ ...tracedStream, id }, (carrier) => {
          const trace = carrier === undefined ? [] : ['carrier', carrier];
          return addEntry(keys.replies(to), [id, JSON.stringify(outcome), ...trace]);
        });
      await reachRedis(async () => {
        // In one round trip: who submitted the check is told, and who else waits is asked for.
        const [attached] = await Promise.all([
          redis.smembers(keys.attached(id)),
          address !== undefined && sendTo(address),
        ]);
        const others = attached.filter((to) => to !== address);
        await Promise.all([
          ...others.map(sendTo),
          attached.length > 0 && redis.unlink(keys.attached(id)),
        ]);
      });
    },
  };

  async function addEntry(stream: string, entry: string[]): Promise<void> {
    await redis.eval(ADD_REPLY, 1, stream, MAX_REPLIES, STREAM_LIFE_SECONDS, ...entry);
  }
}

/** One step: a stream whose writer dies in between would have no expiry. */
const ADD_REPLY = `
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', unpack(ARGV, 3))
  redis.call('EXPIRE', KEYS[1], ARGV[2])`;

/** One step, for the same reason. */
const ATTACH = `
  redis.call('SADD', KEYS[1], ARGV[1])
  redis.call('EXPIRE', KEYS[1], ARGV[2])`;

/** All gateways' streams are one to whoever looks at a trace. */
const tracedStream = { system: 'redis', destination: 'replies' } as const;

export interface RedisReplyInboxOptions {
  /** For short commands. */
  redis: Redis;
  /** A connection of its own, as XREAD blocks it. Closed by the inbox. */
  blockingRedis: Redis;
  keys: Keys;
  /** Unique for each run of a gateway, so that it never reads a predecessor's replies. */
  gatewayId: string;
  leases: Leases;
  log: Log;
}

/**
 * One stream for the whole gateway, read by one blocking XREAD. A stream, not pub/sub, because
 * it still holds what arrived while the connection was down.
 */
export function createRedisReplyInbox(options: RedisReplyInboxOptions): ReplyInbox {
  const { blockingRedis, leases, gatewayId, log } = options;
  const waiters = createReplyWaiters(leases);
  const attachments = createAttachments(options);
  const closing = new AbortController();
  void deliverReplies();

  return {
    address: gatewayId,
    expect: (id) => waiters.expect(id),
    attach: (id) => reachRedis(() => attach(id)),
    async close() {
      closing.abort();
      blockingRedis.disconnect();
    },
  };

  async function attach(id: string): Promise<ReplyWaiter> {
    const waiter = waiters.expect(id);
    const attachment = attachments.take(id);
    const release = () => {
      waiter.release();
      attachment.release();
    };
    try {
      await attachment.written;
    } catch (error) {
      release();
      throw error;
    }
    return { ...waiter, release, [Symbol.dispose]: release };
  }

  async function deliverReplies(): Promise<void> {
    for await (const fields of readReplies(options, closing.signal)) {
      const [id = '', outcome = '', , carrier] = fields;
      try {
        traceReceive({ ...tracedStream, id, carrier }, () =>
          waiters.deliver(id, JSON.parse(outcome) as CheckOutcome),
        );
      } catch (error) {
        // It must not keep the others from their callers.
        log.error({ requestId: id, err: error }, 'a reply cannot be read');
      }
    }
  }
}

/**
 * Marks in Redis for which checks workers are to reply to this gateway as well. A mark goes with the
 * last one here who waits.
 */
function createAttachments({ redis, keys, gatewayId, leases, log }: RedisReplyInboxOptions) {
  /** How many here wait for each check. */
  const counts = new Map<string, number>();

  return {
    take(id: string): Lease & { written: Promise<unknown> } {
      counts.set(id, (counts.get(id) ?? 0) + 1);
      const lease = leases.take('attachment', () => leave(id));
      const written = redis.eval(ATTACH, 1, keys.attached(id), gatewayId, ATTACHMENT_LIFE_SECONDS);
      return { ...lease, written };
    },
  };

  function leave(id: string): void {
    const remaining = (counts.get(id) ?? 0) - 1;
    if (remaining > 0) return void counts.set(id, remaining);
    counts.delete(id);
    // The check may have ended, and deleted the marks, before this one was made.
    redis.srem(keys.attached(id), gatewayId).catch((error: unknown) => {
      log.debug({ requestId: id, err: error }, 'detaching from a check failed, it expires');
    });
  }
}

/** The entries of a gateway's stream, each once, until closing. What was read is deleted. */
async function* readReplies(
  { redis, blockingRedis, keys, gatewayId, log }: RedisReplyInboxOptions,
  closing: AbortSignal,
): AsyncGenerator<string[]> {
  const stream = keys.replies(gatewayId);
  let lastId = '0';
  while (!closing.aborted) {
    try {
      const read = await blockingRedis.xread('BLOCK', REPLIES_BLOCK_MS, 'STREAMS', stream, lastId);
      for (const [entryId, fields] of read?.[0]?.[1] ?? []) {
        lastId = entryId;
        yield fields;
      }
      // An outcome holds a score. What cannot be deleted now is with the next, or expires.
      if (read) redis.xtrim(stream, 'MINID', nextId(lastId)).catch(() => undefined);
    } catch (error) {
      if (closing.aborted) return;
      log.warn({ err: error }, 'reading replies failed, trying again');
      await delay(RETRY_MS);
    }
  }
}

/** The least id above this one. */
function nextId(entryId: string): string {
  const [ms, sequence] = entryId.split('-');
  return `${ms}-${BigInt(sequence ?? 0) + 1n}`;
}
