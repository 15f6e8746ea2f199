import { createHmac, randomBytes } from 'node:crypto';
import type { Session } from '@livegate/core/domain';
import type { SessionStore } from '@livegate/core/ports';
import { failInOutage, type Outage } from './outage.js';

/** Keeps every session and every mark: nothing expires. */
export function createFakeSessionStore(outage: Outage = { away: false }): SessionStore {
  const sessions = new Map<string, Session>();
  const marks = new Map<string, string>();
  const imageKeys = new Map<string, string>();

  const store: SessionStore = {
    async add(session) {
      sessions.set(session.sid, session);
    },
    async read(sid) {
      return sessions.get(sid);
    },
    async update(sid, change) {
      const latest = sessions.get(sid);
      if (latest) sessions.set(sid, change(latest));
      return sessions.get(sid);
    },
    async delete(sid) {
      const session = sessions.get(sid);
      sessions.delete(sid);
      for (const mac of session?.imageMacs ?? []) {
        const mark = `${session?.tenant} ${mac}`;
        if (marks.get(mark) === sid) marks.delete(mark);
      }
      return session;
    },
    async hashImage(tenant, image) {
      const key = imageKeys.get(tenant) ?? randomBytes(32).toString('base64url');
      imageKeys.set(tenant, key);
      return createHmac('sha256', key).update(image).digest('base64url');
    },
    async isRepeated({ tenant, mac, sid }) {
      const mark = `${tenant} ${mac}`;
      const first = marks.get(mark) ?? sid;
      marks.set(mark, first);
      return first !== sid;
    },
  };
  return failInOutage(store, outage);
}
