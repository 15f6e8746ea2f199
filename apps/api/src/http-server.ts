import { createServer, type Server } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Express, Request, Response } from 'express';
import { answerBrokenHttp } from './answer-broken-http.js';
import { answerBare } from './bare-answer.js';
import { trackConnections } from './track-connections.js';

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
    if (req.httpVersion === '1.1' && req.headers.host === undefined) answerBare(res, 'bad_request');
    // Express gives back only what it cannot route at all: a target that is no URL.
    else app(req as Request, res as Response, () => answerBare(res, 'bad_request'));
  });
  // The reader of the body says "100 Continue" once everything else has been accepted.
  server.on('checkContinue', (req, res) => server.emit('request', req, res));
  server.on('checkExpectation', (_req, res) => answerBare(res, 'unsupported_expectation'));
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
