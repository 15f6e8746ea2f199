import {
  createSession,
  createSid,
  isSid,
  LivegateError,
  type NewSession,
  type Session,
} from '@livegate/core/domain';
import type { SessionStore } from '@livegate/core/ports';
import type { Request, RequestHandler, Response } from 'express';
import type { DeleteCheck } from '../checks/end-check.js';
import {
  presentCreatedSession,
  presentSession,
  type SessionCreation,
} from '../contract/sessions.js';
import type { Credential } from '../credentials/credential-book.js';
import { baseUrlOf } from '../http/base-url.js';
import type { Webhooks } from '../webhooks/open-webhooks.js';
import { parseCreation } from './read-creation.js';
import type { RefreshSession } from './settle-session.js';

export interface SessionRoutesOptions {
  publicUrl: string | undefined;
  /** Per tenant, for credentials without a rate of their own; 0 means no limit. */
  rateLimitPerMinute: number;
  /** How long a session stays readable after its expiry. */
  keepMs: number;
}

export interface SessionRoutesDeps {
  sessions: SessionStore;
  refreshSession: RefreshSession;
  deleteCheck: DeleteCheck;
  webhooks: Pick<Webhooks, 'delete'>;
  now: () => number;
}

/** The handlers for tenants: create, read and delete a session. */
export function createSessionRoutes(options: SessionRoutesOptions, deps: SessionRoutesDeps) {
  const { sessions, refreshSession, deleteCheck, webhooks, now } = deps;

  const create: RequestHandler = async (req, res) => {
    const sid = createSid();
    // The Java SDK takes the last segment of the URL for the sid.
    const url = `${baseUrlOf(req, options.publicUrl)}/sessions/${sid}`;
    const { credential } = res.locals;
    const newSession = toNewSession(parseCreation(req), credential, options.rateLimitPerMinute);
    const session = createSession(newSession, { sid, url, now: now() });
    await sessions.add(session, options.keepMs);
    res.json(presentCreatedSession(session));
  };

  const read: RequestHandler = async (req, res) => {
    const session = await refreshSession(await findOwn(req, res));
    if (!session) throw new LivegateError('not_found');
    res.locals.outcome = session.status;
    res.json(presentSession(session));
  };

  const remove: RequestHandler = async (req, res) => {
    const { sid, tenant } = await findOwn(req, res);
    const deleted = await sessions.delete(sid);
    // Again after the deletion: no photo can begin any more.
    if (deleted?.running) await deleteCheck({ id: deleted.running.checkId, tenant });
    await webhooks.delete({ id: sid, tenant });
    res.json({ sid, deleted: true });
  };

  return { create, read, remove };

  /** Throws the same `not_found` for sids that are malformed, unknown, gone or another tenant's. */
  async function findOwn(req: Request, res: Response): Promise<Session> {
    const sid = String(req.params['sid']);
    const session = isSid(sid) ? await sessions.read(sid) : undefined;
    if (session?.tenant !== res.locals.credential.tenant) throw new LivegateError('not_found');
    return session;
  }
}

/** `defaultRate` is the tenant's, unless its credential has its own. */
function toNewSession(
  creation: SessionCreation,
  { tenant, rate_limit_per_minute: ownRate }: Credential,
  defaultRate: number,
): NewSession {
  const { cancel_url: cancelUrl, reference, locale } = creation;
  return {
    tenant,
    ...('success_url' in creation && { successUrl: creation.success_url }),
    ...(cancelUrl && { cancelUrl }),
    ...(reference && { reference }),
    ...(locale && { locale }),
    maxTries: creation.max_tries,
    ttlMs: creation.ttl_seconds * 1000,
    tellUser: creation.tell_user,
    tenantRatePerMinute: ownRate ?? defaultRate,
  };
}
