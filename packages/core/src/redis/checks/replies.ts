import { setImmediate, setTimeout as delay } from 'node:timers/promises';
import type { Lease, Leases } from '../../domain/operation/leases.js';
import type { ReplyInbox, ReplyOutbox, ReplyWaiter } from '../../ports.js';
import { createReplyWaiters } from '../../runtime/reply-waiters.js';
import type { Log } from '../../telemetry/log.js';
import { traceReceive, traceSend } from '../../telemetry/traces.js';
import { defineScript, reachRedis, type Redis } from '../connection/connect.js';
import type { Keys } from '../keys.js';
import { readMark } from './cancellations.js';
import { readOutcome, writeOutcome } from './stored-outcome.js';

/** Approximate length limit of a reply stream, for a gateway that reads too slowly. */
const MAX_REPLIES = 10_000;
/** TTL of a stream after its last reply: long enough for its gateway to reconnect. */
const STREAM_TTL_SECONDS = 120;
/** How long one read of the stream blocks. */
export const REPLIES_BLOCK_MS = 5000;
const RETRY_MS = 100;

/** TTL of an attachment, longer than any wait: removes the attachments of a gateway that died. */
const ATTACHMENT_TTL_SECONDS = 600;

export interface RedisReplyOutboxOptions {
  redis: Redis;
  keys: Keys;
  resultTtlSeconds: number;
}

/** Adds each outcome to the stream of every gateway that waits for it. */
export function createRedisReplyOutbox({
  redis,
  keys,
  resultTtlSeconds,
}: RedisReplyOutboxOptions): ReplyOutbox {
  return {
    send: ({ id, tenant, replyTo = '' }, outcome) =>
      traceSend({ ...tracedStream, id }, async (carrier) => {
        const used = [keys.cancellation(id), keys.attached(id), keys.webhookEndpoints(tenant)];
        const outcomes = [writeOutcome(outcome), writeOutcome({ error: 'canceled' })];
        const streams = [keys.replies(''), MAX_REPLIES, STREAM_TTL_SECONDS];
        const trace = carrier === undefined ? [] : ['carrier', carrier];
        const args = [...streams, replyTo, id, ...outcomes, resultTtlSeconds, ...trace];
        const found = await reachRedis(() => sendReplies(redis, used, args));
        const [mark, endpoints] = found as [string, number];
        return { cancellation: readMark(mark).cancellation, hasEndpoints: endpoints === 1 };
      }),
  };
}

/**
 * KEYS: the check's cancellation, its attached gateways, the endpoints of its tenant. ARGV: the prefix
 * of streams, their length limit and TTL, the gateway that submitted the check or nothing, the check,
 * its outcome, the outcome of a canceled check, the TTL of a result, further fields.
 *
 * The mark of a canceled check had to outlive the queue. Now it only has to outlive the job.
 *
 * A script, so that the end of a check takes one round trip, and no stream is left without TTL by a
 * worker that dies.
 */
const sendReplies = defineScript(`
  local mark = redis.call('GET', KEYS[1])
  local outcome = mark and ARGV[7] or ARGV[6]
  local attached = redis.call('SMEMBERS', KEYS[2])
  local receivers = {}
  if ARGV[4] ~= '' then receivers[ARGV[4]] = true end
  for _, gateway in ipairs(attached) do receivers[gateway] = true end
  for gateway in pairs(receivers) do
    local stream = ARGV[1] .. gateway
    redis.call('XADD', stream, 'MAXLEN', '~', ARGV[2], '*', ARGV[5], outcome, unpack(ARGV, 9))
    redis.call('EXPIRE', stream, ARGV[3])
  end
  if #attached > 0 then redis.call('UNLINK', KEYS[2]) end
  if mark and mark ~= 'deleted' then redis.call('EXPIRE', KEYS[1], ARGV[8]) end
  return { mark or '', redis.call('EXISTS', KEYS[3]) }`);

/** A script, because a gateway that died between the commands would leave a key without TTL. */
const runAttach = defineScript(`
  redis.call('SADD', KEYS[1], ARGV[1])
  redis.call('EXPIRE', KEYS[1], ARGV[2])`);

/** Traces show the streams of all gateways as one destination. */
const tracedStream = { system: 'redis', destination: 'replies' } as const;

export interface RedisReplyInboxOptions {
  /** For short commands. */
  redis: Redis;
  /** A separate connection, because XREAD blocks it. The inbox closes it. */
  blockingRedis: Redis;
  keys: Keys;
  /** Unique for each run of a gateway, so that it never reads a predecessor's replies. */
  gatewayId: string;
  leases: Leases;
  log: Log;
}

/**
 * One stream for the whole gateway, read by one blocking XREAD. A stream, not pub/sub, because a
 * stream keeps the replies that arrive while the connection is down.
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
          waiters.deliver(id, readOutcome(outcome)),
        );
      } catch (error) {
        // One unreadable reply must not stop the others.
        log.error({ requestId: id, err: error }, 'unreadable reply in the reply stream');
      }
    }
  }
}

/**
 * Attaches this gateway to checks that another gateway submitted: workers reply to it as well. The
 * attachment is removed with the last waiter for the check here.
 */
function createAttachments({ redis, keys, gatewayId, leases, log }: RedisReplyInboxOptions) {
  /** Waiters here, by check. */
  const counts = new Map<string, number>();

  return {
    take(id: string): Lease & { written: Promise<unknown> } {
      counts.set(id, (counts.get(id) ?? 0) + 1);
      const lease = leases.take('attachment', () => detach(id));
      const written = runAttach(redis, [keys.attached(id)], [gatewayId, ATTACHMENT_TTL_SECONDS]);
      return { ...lease, written };
    },
  };

  function detach(id: string): void {
    const remaining = (counts.get(id) ?? 0) - 1;
    if (remaining > 0) return void counts.set(id, remaining);
    counts.delete(id);
    // Also when a reply came: the check may have ended before this attachment was written.
    redis.srem(keys.attached(id), gatewayId).catch((error: unknown) => {
      log.debug({ requestId: id, err: error }, 'reply attachment not removed, it expires');
    });
  }
}

/** Yields each entry of a gateway's stream once, until closing, and deletes what it has read. */
async function* readReplies(
  { blockingRedis, keys, gatewayId, log }: RedisReplyInboxOptions,
  closing: AbortSignal,
): AsyncGenerator<string[]> {
  const stream = keys.replies(gatewayId);
  let lastId = '0';
  while (!closing.aborted) {
    try {
      // In one write. An outcome contains a score; if the trim fails, the next one deletes it, or the
      // stream expires.
      const answers = await blockingRedis
        .pipeline()
        .xtrim(stream, 'MINID', nextId(lastId))
        .xread('BLOCK', REPLIES_BLOCK_MS, 'STREAMS', stream, lastId)
        .exec();
      for (const [entryId, fields] of readEntries(answers)) {
        lastId = entryId;
        yield fields;
      }
      // The waiters of these replies run first: the next read would delay each answer by 0.1 ms.
      await setImmediate();
    } catch (error) {
      if (closing.aborted) return;
      log.warn({ err: error }, 'reading the reply stream failed, retrying');
      await delay(RETRY_MS);
    }
  }
}

type Entry = [id: string, fields: string[]];

/** The entries of the one stream that was read. Throws if the read failed. */
function readEntries(answers: [Error | null, unknown][] | null): Entry[] {
  const [error, read] = answers?.[1] ?? [];
  if (error) throw error;
  return (read as [stream: string, Entry[]][] | null | undefined)?.[0]?.[1] ?? [];
}

/** The smallest id after this one. */
function nextId(entryId: string): string {
  const [ms, sequence] = entryId.split('-');
  return `${ms}-${BigInt(sequence ?? 0) + 1n}`;
}
