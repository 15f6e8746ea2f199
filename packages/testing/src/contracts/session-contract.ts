import { addSignals, createSid, type Session } from '@livegate/core/domain';
import type { SessionStore } from '@livegate/core/ports';
import { describe, expect, it } from 'vitest';
import { exampleSession } from '../examples.js';
import { type CreatePort, openPort } from './open-port.js';

const image = Uint8Array.of(1, 2, 3);

export function describeSessionStore(create: CreatePort<SessionStore>): void {
  describe('SessionStore', () => {
    it('reads a session as it was added, and nothing for an unknown sid', async () => {
      const store = await openPort(create);
      const session = exampleSession({ cancelUrl: 'https://shop.example/', reference: 'a"<b>' });
      await store.add(session, 1000);
      expect(await store.read(session.sid)).toEqual(session);
      expect(await store.read(createSid())).toBeUndefined();
    });

    it('changes a session, and nothing for an unknown sid', async () => {
      const store = await openPort(create);
      const session = exampleSession();
      await store.add(session, 1000);
      const flag = (latest: Session) => addSignals(latest, ['file_upload']);
      expect(await store.update(createSid(), flag)).toBeUndefined();
      expect(await store.update(session.sid, flag)).toMatchObject({ signals: ['file_upload'] });
      expect(await store.read(session.sid)).toMatchObject({ signals: ['file_upload'] });
    });

    it('applies each of several concurrent changes once', async () => {
      const store = await openPort(create);
      const session = exampleSession();
      await store.add(session, 1000);
      const count = (latest: Session) => ({ ...latest, photos: latest.photos + 1 });
      await Promise.all([1, 2, 3, 4, 5].map(() => store.update(session.sid, count)));
      expect(await store.read(session.sid)).toMatchObject({ photos: 5 });
    });

    it('leaves the session unchanged when the change throws, and rejects with its error', async () => {
      const store = await openPort(create);
      const session = exampleSession();
      await store.add(session, 1000);
      const refusal = new Error('refused');
      const refuse = () => {
        throw refusal;
      };
      await expect(store.update(session.sid, refuse)).rejects.toBe(refusal);
      expect(await store.read(session.sid)).toEqual(session);
    });

    it('deletes a session once, and returns it', async () => {
      const store = await openPort(create);
      const session = exampleSession();
      await store.add(session, 1000);
      expect(await store.delete(session.sid)).toEqual(session);
      expect(await store.delete(session.sid)).toBeUndefined();
      expect(await store.read(session.sid)).toBeUndefined();
    });

    it('hashes equal images of one tenant equally, and under no key of another tenant', async () => {
      const store = await openPort(create);
      const mac = await store.hashImage('acme', image);
      expect(await store.hashImage('acme', Uint8Array.from(image))).toBe(mac);
      expect(await store.hashImage('acme', Uint8Array.of(1, 2))).not.toBe(mac);
      expect(await store.hashImage('globex', image)).not.toBe(mac);
    });

    it('calls an image repeated only for another session of the same tenant', async () => {
      const store = await openPort(create);
      const at = (tenant: string, sid: string) => ({ tenant, mac: 'mac', sid });
      expect(await store.isRepeated(at('acme', 'first'))).toBe(false);
      expect(await store.isRepeated(at('acme', 'first'))).toBe(false);
      expect(await store.isRepeated(at('acme', 'second'))).toBe(true);
      expect(await store.isRepeated(at('acme', 'first'))).toBe(false);
      expect(await store.isRepeated(at('globex', 'second'))).toBe(false);
    });

    it('removes the marks of a deleted session, but not those of another one', async () => {
      const store = await openPort(create);
      const [first, second] = [exampleSession(), exampleSession()];
      const withMacs = (session: Session, ...imageMacs: string[]) => ({ ...session, imageMacs });
      await store.add(withMacs(first, 'a', 'b'), 1000);
      await store.add(withMacs(second, 'b'), 1000);
      await store.isRepeated({ tenant: 'acme', mac: 'a', sid: first.sid });
      await store.isRepeated({ tenant: 'acme', mac: 'b', sid: second.sid });
      await store.delete(first.sid);
      expect(await store.isRepeated({ tenant: 'acme', mac: 'a', sid: 'other' })).toBe(false);
      expect(await store.isRepeated({ tenant: 'acme', mac: 'b', sid: 'other' })).toBe(true);
    });
  });
}
