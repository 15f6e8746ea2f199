import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { LivegateError } from '@livegate/core/domain';
import type { ErrorRequestHandler } from 'express';
import { onTestFinished } from 'vitest';

/** Serves a part of the gateway on loopback until the end of the test. Resolves to the port. */
export async function serve(handler: RequestListener): Promise<number> {
  // As the gateway's own server: a request may have no Host, and only its handler asks for a body.
  const server = createServer({ requireHostHeader: false }, handler).listen(0, '127.0.0.1');
  server.on('checkContinue', (req, res) => server.emit('request', req, res));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** Answers with the parts of an error that a test of a parser compares. */
// oxlint-disable-next-line eslint/max-params -- Express knows an error handler by its four parameters
export const describeError: ErrorRequestHandler = (error: LivegateError, _req, res, _next) => {
  const { code, publicMessage: message, cause } = error;
  res.json({ code, message, ...(cause instanceof Error && { cause: cause.message }) });
};
