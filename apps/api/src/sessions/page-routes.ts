import { isSid, LivegateError, type Session } from '@livegate/core/domain';
import type { RateLimiter, SessionStore } from '@livegate/core/ports';
import type { Request, RequestHandler, Response } from 'express';
import type { CancelCheck } from '../checks/end-check.js';
import { RETRY_AFTER_SECONDS } from '../contract/present-error.js';
import { presentPageState } from '../contract/sessions.js';
import {
  createCapturePage,
  type FrameAncestors,
  prefersHtml,
  privateHeaders,
  sendErrorPage,
  sendPage,
} from './capture-page.js';
import { createPageLimits } from './limit-page.js';
import type { PageTheme } from './page-theme.js';
import type { RefreshSession, SettleSession } from './settle-session.js';

export interface PageRoutesOptions {
  frameAncestors: FrameAncestors;
  theme?: PageTheme | undefined;
}

export interface PageRoutesDeps {
  sessions: SessionStore;
  rateLimiter: RateLimiter;
  settleSession: SettleSession;
  refreshSession: RefreshSession;
  cancelCheck: CancelCheck;
  /** In milliseconds since the epoch. */
  now: () => number;
}

/** The handlers for the browser of a person, except for the photo. The sid is the only credential. */
export function createPageRoutes(options: PageRoutesOptions, deps: PageRoutesDeps) {
  const find = createFindSession(deps);
  const page = createCapturePage(options.theme ?? {}, options.frameAncestors);

  const show: RequestHandler = async (req, res) => {
    res.vary('Accept');
    try {
      const { expiresAt } = await find(req);
      if (expiresAt <= deps.now()) throw new LivegateError('session_expired');
      sendPage(res, page);
    } catch (error) {
      if (!prefersHtml(req)) throw error;
      sendErrorPage(res, error, page);
    }
  };

  const readState: RequestHandler = async (req, res) => {
    const session = await find(req);
    const { expiresAt, status, running } = session;
    const isOpen = status === 'PENDING' && !running;
    // The last photo may have its result after the expiry, and the page waits for it.
    if (isOpen && expiresAt <= deps.now()) throw new LivegateError('session_expired');
    sendState(res, session, deps.now());
  };

  const cancel: RequestHandler = async (req, res) => {
    const { sid, tenant, status, cancelUrl, running } = await find(req);
    if (cancelUrl === undefined) throw new LivegateError('not_found');
    if (status === 'FINISHED') throw new LivegateError('session_finished');
    const id = running?.checkId;
    if (id !== undefined && (await deps.cancelCheck({ id, tenant }))) {
      await deps.settleSession({ id, tenant, sid, outcome: { error: 'canceled' } });
    }
    res.set(privateHeaders).json({ cancel_redirect: new URL(cancelUrl).href });
  };

  return { show, readState, cancel };
}

/** Resolves to the current session of the path. */
export type FindSession = (req: Request) => Promise<Session>;

/** Throws the same `not_found` for sids that are malformed, unknown or gone; and `rate_limited`. */
export function createFindSession(
  deps: Pick<PageRoutesDeps, 'sessions' | 'rateLimiter' | 'refreshSession'>,
): FindSession {
  const pageLimits = createPageLimits(deps.rateLimiter);

  return async ({ params }) => {
    const sid = String(params['sid']);
    const session = isSid(sid) ? await deps.sessions.read(sid) : undefined;
    if (!session) throw new LivegateError('not_found');
    await pageLimits.limitSession(sid);
    const latest = await deps.refreshSession(session);
    if (!latest) throw new LivegateError('not_found');
    return latest;
  };
}

/** `now` is in milliseconds since the epoch. */
export function sendState(res: Response, session: Session, now: number): void {
  res.locals.outcome = session.status;
  if (session.running) res.set('Retry-After', String(RETRY_AFTER_SECONDS));
  res.set(privateHeaders).json(presentPageState(session, now));
}
