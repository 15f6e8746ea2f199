import { type CheckPhotoDeps, createCheckPhoto } from './check-photo.js';
import {
  createRefreshSession,
  createSettleSession,
  type SettleSessionDeps,
} from './settle-session.js';

/** What the routes of sessions do apart from HTTP. */
export function openSessions(deps: SettleSessionDeps & CheckPhotoDeps) {
  const settleSession = createSettleSession(deps);
  return {
    settleSession,
    refreshSession: createRefreshSession(deps, settleSession),
    checkPhoto: createCheckPhoto(deps),
  };
}
