import type { RequestHandler } from 'express';
import type { Fleet } from './fleet.js';
import { readPreference, waitOf } from './read-preference.js';

/** Throws `unavailable` or `overloaded` before the body is read; else holds a place for the check. */
export function requireCapacity(fleet: Fleet, waitLimitMs: number): RequestHandler {
  return (req, res, next) => {
    const isAwaited = waitOf(readPreference(req, waitLimitMs), waitLimitMs) > 0;
    const place = fleet.admit({ isAwaited });
    res.locals.place = place;
    res.on('close', () => place.release());
    next();
  };
}
