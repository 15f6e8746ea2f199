import type { RequestHandler } from 'express';
import type { Fleet } from './fleet.js';

/** Throws `unavailable` or `overloaded` before the body is read. */
export function requireCapacity(fleet: Fleet): RequestHandler {
  return (_req, _res, next) => {
    fleet.requireCapacity();
    next();
  };
}
