import type { RequestHandler } from 'express';
import type { Fleet } from '../fleet.js';

/** The process answers: nothing more, so that no outage of Redis makes Kubernetes restart it. */
export const livez: RequestHandler = (_req, res) => {
  res.json({ status: 'ok' });
};

/** Checks can be taken: every Redis is reachable and safe, and a live worker reads our checks. */
export function readyz(fleet: Fleet, isClosing: () => boolean): RequestHandler {
  return (_req, res) => {
    const problem = isClosing() ? 'this gateway is stopping' : fleet.findProblem();
    if (problem) res.status(503).json({ status: 'unavailable', problem });
    else res.json({ status: 'ok', workers: fleet.view()?.workers.length });
  };
}
