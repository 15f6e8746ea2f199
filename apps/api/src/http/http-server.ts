import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ErrorCode } from '@livegate/core/domain';
import type { Express, Request, Response } from 'express';
import { answerRaw, answerSocket } from './answer-errors.js';

/** Longer than the idle time-out of the usual load balancers, which must be the first to close. */
const KEEP_ALIVE_MS = 75_000;

export interface HttpServer extends Server {
  /** From now on every answer is the last of its connection, and says so. */
  endWithAnswers(): void;
}

/**
 * An HTTP server that answers in JSON with a `Request-Id` also where Node, left alone, would answer
 * with bare status lines: broken HTTP, oversized headers, a body that stops half-way or never ends.
 */
export function createHttpServer(app: Express, uploadTimeoutMs: number): HttpServer {
  const server = createServer({
    keepAliveTimeout: KEEP_ALIVE_MS,
    requestTimeout: uploadTimeoutMs,
    // Node looks for late requests only this often; its default of 30 s would double the limit.
    connectionsCheckingInterval: Math.min(uploadTimeoutMs, 5000),
    // Node would refuse without a body, so the refusal is below.
    requireHostHeader: false,
  });
  const connections = trackConnections(server);
  // Node's own takes a connection that never sent a byte for a busy one.
  server.closeIdleConnections = connections.closeIdle;

  server.on('request', (req, res) => {
    if (req.httpVersion === '1.1' && req.headers.host === undefined) answerRaw(res, 'bad_request');
    // Express gives back only what it cannot route at all: a target that is no URL.
    else app(req as Request, res as Response, () => answerRaw(res, 'bad_request'));
  });
  // The reader of the body says "100 Continue" once everything else has been accepted.
  server.on('checkContinue', (req, res) => server.emit('request', req, res));
  server.on('checkExpectation', (_req, res) => answerRaw(res, 'unsupported_expectation'));
  answerBrokenHttp(server, connections);
  return Object.assign(server, { endWithAnswers: connections.endWithAnswers });
}

/**
 * Serves on for `drainMs`, then stops listening, lets every request that has begun get its answer, and
 * lets go. To close a connection that was to be kept alive loses the request that is just on its way:
 * while it drains, the answers end the connections, and who balances the load notices.
 */
export async function closeHttpServer(server: HttpServer, drainMs = 0): Promise<void> {
  server.endWithAnswers();
  await sleep(drainMs);
  // A connection whose last answer is still on its way is idle, and closable, only afterwards.
  const sweep = setInterval(() => server.closeIdleConnections(), 100);
  await new Promise((resolve) => server.close(resolve));
  clearInterval(sweep);
}

export interface Connections {
  /** The response to the newest request of a connection, answered or not. */
  newestResponse(socket: Duplex): ServerResponse | undefined;
  /** From now on every answer is the last of its connection, and says so. */
  endWithAnswers(): void;
  /** Closes every connection that owes no answer, also those that have not sent a byte yet. */
  closeIdle(): void;
}

export function trackConnections(server: Server): Connections {
  /** Of each connection, the newest one last; answered ones are left out when a newer one comes. */
  const responses = new Map<Duplex, ServerResponse[]>();
  const newestOf = (socket: Duplex) => responses.get(socket)?.at(-1);
  let isEnding = false;
  server.on('connection', (socket) => {
    responses.set(socket, []);
    socket.once('close', () => {
      // Node itself comes first.
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
    endWithAnswers() {
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
 * A response that waits behind another one of its connection gets no 'close' from Node 20 when the
 * connection closes, and what it holds would never be released.
 */
function closeAll(responses: ServerResponse[] = []): void {
  for (const response of responses.filter(({ closed }) => !closed)) {
    response.destroy();
    response.emit('close');
  }
}

/** Answers what the HTTP parser gives up on, each under the id of the request that it belongs to. */
export function answerBrokenHttp(server: Server, connections: Connections): void {
  const broken = new WeakSet<Duplex>();

  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    // A parser that has failed fails again at every further byte.
    if (broken.has(socket)) return;
    broken.add(socket);
    const code = codes[error.code ?? ''] ?? 'bad_request';
    const response = connections.newestResponse(socket);
    if (!socket.writable || error.code === 'ECONNRESET') socket.destroy();
    else if (!response || response.req.complete) answerAfterOthers(socket, code);
    // It broke within a request, which gets one answer.
    else if (response.headersSent) socket.destroy();
    else answerRaw(response, code);
  });

  server.on('connect', (_req, socket) => {
    // Node has let go of this socket: nobody else listens for its errors or reads on to its end.
    socket.on('error', () => undefined).resume();
    answerAfterOthers(socket, 'method_not_allowed');
  });

  /** Answers come in the order of the requests, and an earlier one may still be on its way. */
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
