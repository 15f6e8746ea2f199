import type { RequestHandler } from 'express';
import type { Fleet } from './fleet.js';

/** Throws `unavailable` or `overloaded` before the body is read; else holds a place for the check. */
export function requireCapacity(fleet: Fleet): RequestHandler {
  return (_req, res, next) => {
    const place = fleet.admit();
    res.locals.place = place;
    res.on('close', () => place.release());
    next();
  };
}
