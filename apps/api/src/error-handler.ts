import { LivegateError } from '@livegate/core';
import type { ErrorRequestHandler, RequestHandler } from 'express';
import { presentError, toLivegateError } from './present-error.js';

/** Every error of every route ends here, and leaves as JSON. */
// oxlint-disable-next-line eslint/max-params -- Express knows an error handler by its four parameters
export const handleError: ErrorRequestHandler = (thrown, _req, res, _next) => {
  // The caller is gone, and the request's log line is written.
  if (res.destroyed) return;
  const error = toLivegateError(thrown);
  const { status, headers, body } = presentError(error, res.locals.requestId);
  res.locals.outcome = error.code;
  // For the request's log line.
  if (status >= 500 && !error.isCallersChoice) res.err = error;
  res.locals.isCallersChoice = error.isCallersChoice;
  // Already answered, where the request broke off before its handler failed.
  if (res.writableEnded) return;
  if (res.headersSent) res.destroy();
  else res.status(status).set(headers).json(body);
};

export const refusePath: RequestHandler = () => {
  throw new LivegateError('not_found');
};

export function refuseMethod(...allowed: string[]): RequestHandler {
  return (_req, res) => {
    res.set('Allow', allowed.join(', '));
    throw new LivegateError('method_not_allowed');
  };
}
