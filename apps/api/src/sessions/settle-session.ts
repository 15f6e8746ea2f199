import {
  type CheckOutcome,
  isLost,
  isStoreFailure,
  type Session,
  SESSION_FINISHED,
  settlePhoto,
  undoPhoto,
} from '@livegate/core/domain';
import type { CheckQueue, SessionStore } from '@livegate/core/ports';
import type { DeleteCheck } from '../checks/end-check.js';
import { presentSession } from '../contract/sessions.js';
import type { Webhooks } from '../webhooks/open-webhooks.js';

export interface SettleSessionDeps {
  sessions: SessionStore;
  queue: Pick<CheckQueue, 'read'>;
  webhooks: Pick<Webhooks, 'announceEvent'>;
  deleteCheck: DeleteCheck;
  now: () => number;
}

/** The check of a photo, as far as a session needs it. */
export interface PhotoCheck {
  id: string;
  tenant: string;
  sid?: string;
  outcome?: CheckOutcome;
}

/** Resolves to the session with the outcome in it; `undefined` if it was deleted. */
export type SettleSession = (check: PhotoCheck) => Promise<Session | undefined>;

/**
 * Moves the outcome of a check into its session, announces a finished session, and deletes the check:
 * only the session keeps the score.
 *
 * Any gateway may do this, also several at once and again: the outcome counts once, and equal
 * messages are sent once. The check is deleted last, so that what a dead process left undone is done
 * by the next one.
 */
export function createSettleSession(deps: SettleSessionDeps): SettleSession {
  const { sessions, webhooks, deleteCheck, now } = deps;

  return async ({ id, tenant, sid = '', outcome }) => {
    const session = await sessions.update(sid, (latest) =>
      outcome ? settlePhoto(latest, { id, outcome }, now()) : latest,
    );
    if (session?.status === 'FINISHED') await announce(session);
    await deleteCheck({ id, tenant });
    return session;
  };

  async function announce(session: Session): Promise<void> {
    const { sid, tenant, finishedAt } = session;
    await webhooks.announceEvent({
      source: sid,
      tenant,
      type: SESSION_FINISHED,
      at: finishedAt ?? now(),
      data: presentSession(session),
      isKept: async () => (await sessions.read(sid)) !== undefined,
    });
  }
}

/**
 * Moves the outcome of a check that ended while nobody waited for it into the session. While Redis
 * refuses writes, resolves to the unchanged session, which the next request settles.
 */
export type RefreshSession = (session: Session) => Promise<Session | undefined>;

export function createRefreshSession(
  { sessions, queue, now }: SettleSessionDeps,
  settleSession: SettleSession,
): RefreshSession {
  return async (session) => {
    try {
      return await refresh(session);
    } catch (error) {
      if (isStoreFailure(error)) return session;
      throw error;
    }
  };

  async function refresh(session: Session): Promise<Session | undefined> {
    const { sid, tenant, running } = session;
    if (!running) return session;
    const id = running.checkId;
    const check = await queue.read(id);
    if (check?.outcome) return settleSession({ id, tenant, sid, outcome: check.outcome });
    if (check || !isLost(session, now())) return session;
    // Its gateway died before it queued the check.
    return sessions.update(sid, (latest) => undoPhoto(latest, id));
  }
}
