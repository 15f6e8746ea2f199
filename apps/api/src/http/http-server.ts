import {
  createServer,
  IncomingMessage,
  type Server,
  type ServerOptions,
  ServerResponse,
} from 'node:http';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ErrorCode } from '@livegate/core/domain';
import type { Express, Request, Response } from 'express';
import { answerRaw, answerSocket } from './answer-errors.js';
import { type ConnectionLimits, type Connections, trackConnections } from './track-connections.js';

/**
 * Unanswered requests of one connection. Clients and proxies that pipeline send a few; thousands of
 * long polls on one connection would block the event loop.
 */
export const MAX_UNANSWERED = 32;
/** Longer than the idle timeout of common load balancers, which must close first. */
const KEEP_ALIVE_MS = 75_000;

/** Limits of one connection, and of all of them. `docs/reference/limits.md` explains each. */
export interface HttpLimits extends ConnectionLimits {
  /** From the first byte of a request to its last. */
  uploadTimeoutMs: number;
  /** From the connection, or from the first byte of a later request, to the end of its headers. */
  headersTimeoutMs: number;
}

export const defaultHttpLimits: HttpLimits = {
  uploadTimeoutMs: 30_000,
  headersTimeoutMs: 10_000,
  stallTimeoutMs: 30_000,
  maxConnections: 20_000,
};

export interface HttpServer extends Server {
  /** From now on every answer closes its connection, and says so. */
  disableKeepAlive(): void;
}

/**
 * An HTTP server that answers in JSON with a `Request-Id` even where Node by default sends a bare
 * status line: broken HTTP, oversized headers, a body that stops half-way or never ends.
 */
export function createHttpServer(app: Express, given: Partial<HttpLimits>): HttpServer {
  const limits = { ...defaultHttpLimits, ...given };
  const headersTimeout = Math.min(limits.headersTimeoutMs, limits.uploadTimeoutMs);
  const server = createServer({
    ...createWithPrototypesOf(app),
    keepAliveTimeout: KEEP_ALIVE_MS,
    requestTimeout: limits.uploadTimeoutMs,
    headersTimeout,
    // Node checks for late requests at this interval; its default of 30 s would double the limit.
    connectionsCheckingInterval: Math.min(headersTimeout, 5000),
    // Node would refuse without a body; `findHeadProblem` refuses with one.
    requireHostHeader: false,
    maxHeaderSize: MAX_HEADER_BYTES,
    // A flag of the process must not make the parser guess where a request ends.
    insecureHTTPParser: false,
  });
  // Node drops further headers. One more than allowed shows `findHeadProblem` that there were some.
  server.maxHeadersCount = MAX_HEADERS + 1;
  const connections = trackConnections(server, limits);
  // Node's own method considers a connection that never sent a byte busy.
  server.closeIdleConnections = connections.closeIdle;

  server.on('request', (req, res) => {
    if (connections.isRefused(req.socket)) return;
    const isOver = connections.countUnanswered(req.socket) > MAX_UNANSWERED;
    const problem = findHeadProblem(req) ?? (isOver ? 'rate_limited' : undefined);
    if (problem) answerRaw(res, problem);
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
 * Express sets the prototype of each request and response. V8 then gives each of them a hidden class of
 * its own, so that no inline cache ever knows one, and every access to a property is slow. Those that
 * are created with the prototype that Express sets keep the hidden class of their class.
 */
export function createWithPrototypesOf(
  app: Express,
): Pick<ServerOptions, 'IncomingMessage' | 'ServerResponse'> {
  class AppRequest extends IncomingMessage {}
  class AppResponse<Message extends IncomingMessage> extends ServerResponse<Message> {}
  Object.setPrototypeOf(AppRequest.prototype, app.request);
  Object.setPrototypeOf(AppResponse.prototype, app.response);
  app.request = AppRequest.prototype as Request;
  app.response = AppResponse.prototype as Response;
  return { IncomingMessage: AppRequest, ServerResponse: AppResponse };
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

/** Node's default, set here because a flag of the process can change it. */
export const MAX_HEADER_BYTES = 16 * 1024;
/** A browser behind several proxies sends about 40. */
export const MAX_HEADERS = 200;

/** What Node's parser accepts although two servers may read it differently. */
function findHeadProblem({ rawHeaders, httpVersion }: IncomingMessage): ErrorCode | undefined {
  const names = rawHeaders.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase());
  if (names.length > MAX_HEADERS) return 'headers_too_large';
  const hosts = names.filter((name) => name === 'host').length;
  if (hosts > 1 || (hosts === 0 && httpVersion === '1.1')) return 'bad_request';
  // HTTP/1.0 has no chunks: a proxy may see the end of the body elsewhere.
  if (httpVersion === '1.0' && names.includes('transfer-encoding')) return 'bad_request';
  return undefined;
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
