import { type Leases, LivegateError } from '@livegate/core/domain';
import type { Log } from '@livegate/core/telemetry';
import type { Request, RequestHandler, Response } from 'express';
import type { SnapshotReader } from './read-snapshot.js';

/** A snapshot for every stream; processes publish every five seconds. */
export const PUSH_MS = 2000;
/** Streams of one gateway at once. Each is a connection, and one more copy of each snapshot. */
export const MAX_STREAMS = 20;
/** After this time the browser connects again, to another gateway perhaps, and is authenticated. */
const MAX_STREAM_MS = 10 * 60 * 1000;
/** How long a browser waits before it connects again. */
const RECONNECT_MS = 2000;
/** A reader that takes nothing for this time is disconnected. */
const MAX_STALLED_MS = 30_000;

export interface StreamDeps {
  reader: Pick<SnapshotReader, 'read'>;
  leases: Leases;
  /** Whether the request may still read: its credential may have been withdrawn meanwhile. */
  isAllowed(req: Request): boolean;
  log: Log;
}

interface Stream {
  res: Response;
  req: Request;
  openedAt: number;
  /** Since when its reader has taken nothing; `undefined` while it keeps up. */
  stalledAt: number | undefined;
}

/**
 * Server-sent events, one for each snapshot. One timer reads one snapshot for all streams. A reader
 * that is slow misses snapshots: only what its connection has not taken yet is kept in memory.
 */
export function createSnapshotStreams({ reader, leases, isAllowed, log }: StreamDeps) {
  const streams = new Set<Stream>();
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;

  const open: RequestHandler = async (req, res) => {
    if (isClosed) throw new LivegateError('unavailable', { publicMessage: CLOSING });
    if (streams.size >= MAX_STREAMS) {
      throw new LivegateError('overloaded', { publicMessage: TOO_MANY });
    }
    const lease = leases.take('console_stream');
    const stream: Stream = { req, res, openedAt: performance.now(), stalledAt: undefined };
    streams.add(stream);
    res.once('close', () => {
      lease.release();
      streams.delete(stream);
    });
    start(stream);
    timer ??= setInterval(() => void push(), PUSH_MS);
    write(stream, describe(await reader.read()));
  };

  return {
    open,
    /** Ends all streams; a browser connects again, to another gateway. */
    close() {
      isClosed = true;
      clearInterval(timer);
      for (const { res } of streams) res.end();
    },
  };

  async function push(): Promise<void> {
    if (streams.size === 0) {
      clearInterval(timer);
      timer = undefined;
      return;
    }
    try {
      const text = describe(await reader.read());
      for (const stream of streams) pushTo(stream, text, isAllowed);
    } catch (error) {
      log.error({ err: error }, 'console snapshot failed');
    }
  }
}

function start(stream: Stream): void {
  const { res } = stream;
  res.on('drain', () => (stream.stalledAt = undefined));
  res.set({ 'Content-Type': 'text/event-stream', 'X-Accel-Buffering': 'no' });
  res.flushHeaders();
  write(stream, `retry: ${RECONNECT_MS}\n\n`);
}

function pushTo(stream: Stream, text: string, isAllowed: StreamDeps['isAllowed']): void {
  const { req, res, openedAt, stalledAt } = stream;
  const now = performance.now();
  if (stalledAt !== undefined && now - stalledAt > MAX_STALLED_MS) res.destroy();
  else if (now - openedAt > MAX_STREAM_MS || !isAllowed(req)) res.end();
  else if (stalledAt === undefined) write(stream, text);
}

const TOO_MANY = 'too many consoles are open on this gateway, close one';
const CLOSING = 'this gateway is stopping';

function write(stream: Stream, text: string): void {
  const { res } = stream;
  if (res.writableEnded || res.destroyed) return;
  if (!res.write(text)) stream.stalledAt ??= performance.now();
}

function describe(snapshot: object): string {
  return `data: ${JSON.stringify(snapshot)}\n\n`;
}
