import type { RequestHandler } from 'express';
import { v7 as uuidv7 } from 'uuid';

/**
 * Names the request. The caller's own x-request-id is only echoed and logged: callers send
 * constants, and what one tenant chooses must not collide with another's.
 */
export const identifyRequest: RequestHandler = (req, res, next) => {
  res.locals.requestId = uuidv7();
  res.locals.receivedAt = performance.now();
  res.set('Request-Id', res.locals.requestId);
  const callersId = req.get('x-request-id');
  if (callersId) res.set('x-request-id', callersId);
  next();
};
