import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ErrorCode } from '@livegate/core/domain';
import type { Express, Request, Response } from 'express';
import { answerRaw, answerSocket } from './answer-errors.js';

/**
 * Unanswered requests of one connection. Clients and proxies that pipeline send a few; thousands of
 * long polls on one connection would block the event loop.
 */
export const MAX_UNANSWERED = 32;
/** Longer than the idle timeout of common load balancers, which must close first. */
const KEEP_ALIVE_MS = 75_000;

export interface HttpServer extends Server {
  /** From now on every answer closes its connection, and says so. */
  disableKeepAlive(): void;
}

/**
 * An HTTP server that answers in JSON with a `Request-Id` even where Node by default sends a bare
 * status line: broken HTTP, oversized headers, a body that stops half-way or never ends.
 */
export function createHttpServer(app: Express, uploadTimeoutMs: number): HttpServer {
  const server = createServer({
    keepAliveTimeout: KEEP_ALIVE_MS,
    requestTimeout: uploadTimeoutMs,
    // Node checks for late requests at this interval; its default of 30 s would double the limit.
    connectionsCheckingInterval: Math.min(uploadTimeoutMs, 5000),
    // Node would refuse without a body; the 'request' listener below refuses with one.
    requireHostHeader: false,
  });
  const connections = trackConnections(server);
  // Node's own method considers a connection that never sent a byte busy.
  server.closeIdleConnections = connections.closeIdle;

  server.on('request', (req, res) => {
    if (req.httpVersion === '1.1' && req.headers.host === undefined) answerRaw(res, 'bad_request');
    else if (connections.countUnanswered(req.socket) > MAX_UNANSWERED)
      answerRaw(res, 'rate_limited');
    // Express calls back only for a request target that is not a URL.
    else app(req as Request, res as Response, () => answerRaw(res, 'bad_request'));
  });
  // `createReadUpload` sends "100 Continue" once everything else has been accepted.
  server.on('checkContinue', (req, res) => server.emit('request', req, res));
  server.on('checkExpectation', (_req, res) => answerRaw(res, 'unsupported_expectation'));
  answerBrokenHttp(server, connections);
  return Object.assign(server, { disableKeepAlive: connections.disableKeepAlive });
}

/**
 * Keeps serving for `drainMs`, then stops listening and waits until every request that has begun is
 * answered. Closing an idle keep-alive connection could lose a request that is just being sent: during
 * the drain, each answer closes its connection, and load balancers have time to notice.
 */
export async function closeHttpServer(server: HttpServer, drainMs = 0): Promise<void> {
  server.disableKeepAlive();
  await sleep(drainMs);
  // A connection becomes idle, and can be closed, only after its last answer was sent.
  const sweep = setInterval(() => server.closeIdleConnections(), 100);
  await new Promise((resolve) => server.close(resolve));
  clearInterval(sweep);
}

export interface Connections {
  /** The response to the newest request of a connection, answered or not. */
  newestResponse(socket: Duplex): ServerResponse | undefined;
  /** Requests of a connection that have no complete answer, the newest one included. */
  countUnanswered(socket: Duplex): number;
  /** From now on every answer closes its connection, and says so. */
  disableKeepAlive(): void;
  /** Closes every connection without an unanswered request, also those that never sent a byte. */
  closeIdle(): void;
}

export function trackConnections(server: Server): Connections {
  /** By connection, newest response last; a newer request removes those that are answered. */
  const responses = new Map<Duplex, ServerResponse[]>();
  const newestOf = (socket: Duplex) => responses.get(socket)?.at(-1);
  let isEnding = false;
  server.on('connection', (socket) => {
    responses.set(socket, []);
    socket.once('close', () => {
      // After Node's own handling of 'close'.
      process.nextTick(closeAll, responses.get(socket));
      responses.delete(socket);
    });
  });
  const note = (req: IncomingMessage, res: ServerResponse) => {
    const former = responses.get(req.socket) ?? [];
    responses.set(req.socket, [...former.filter((earlier) => isOpen(earlier, res)), res]);
    if (isEnding) res.shouldKeepAlive = false;
  };
  for (const event of ['request', 'checkContinue', 'checkExpectation']) server.on(event, note);

  return {
    newestResponse: newestOf,
    countUnanswered: (socket) => responses.get(socket)?.length ?? 0,
    disableKeepAlive() {
      isEnding = true;
      for (const response of [...responses.values()].flat()) response.shouldKeepAlive = false;
    },
    closeIdle() {
      for (const socket of responses.keys()) if (newestOf(socket)?.closed ?? true) socket.destroy();
    },
  };
}

/** 'checkContinue' and 'request' are two events of one request. */
function isOpen(earlier: ServerResponse, res: ServerResponse): boolean {
  return earlier !== res && !earlier.closed;
}

/**
 * When a connection closes, Node 20 emits no 'close' for a response that waits behind another one, and
 * the leases of that request would never be released.
 */
function closeAll(responses: ServerResponse[] = []): void {
  for (const response of responses.filter(({ closed }) => !closed)) {
    response.destroy();
    response.emit('close');
  }
}

/** Answers errors of the HTTP parser, each under the id of the request that it belongs to. */
export function answerBrokenHttp(server: Server, connections: Connections): void {
  const broken = new WeakSet<Duplex>();

  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    // A failed parser reports another error for every further byte.
    if (broken.has(socket)) return;
    broken.add(socket);
    const code = codes[error.code ?? ''] ?? 'bad_request';
    const response = connections.newestResponse(socket);
    if (!socket.writable || error.code === 'ECONNRESET') socket.destroy();
    else if (!response || response.req.complete) answerAfterOthers(socket, code);
    // The error is within a request, which gets only one answer.
    else if (response.headersSent) socket.destroy();
    else answerRaw(response, code);
  });

  server.on('connect', (_req, socket) => {
    // Node no longer handles this socket: its errors need a listener and its data a reader.
    socket.on('error', () => undefined).resume();
    answerAfterOthers(socket, 'method_not_allowed');
  });

  /** Answers must have the order of their requests, and an earlier one may still be pending. */
  function answerAfterOthers(socket: Duplex, code: ErrorCode): void {
    const earlier = connections.newestResponse(socket);
    if (!earlier || earlier.closed) answerSocket(socket, code);
    else earlier.once('close', () => socket.writable && answerSocket(socket, code));
  }
}

const codes: Record<string, ErrorCode> = {
  ERR_HTTP_REQUEST_TIMEOUT: 'request_timeout',
  HPE_HEADER_OVERFLOW: 'headers_too_large',
};
