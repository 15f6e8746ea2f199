import { randomUUID } from 'node:crypto';
import type { Leases } from '@livegate/core/domain';
import type { ReplyInbox, ReplyOutbox } from '@livegate/core/ports';
import { describe, expect, it, onTestFinished } from 'vitest';
import { exampleResult } from './examples.js';
import { type Create, open } from './subject.js';

export interface Replies {
  createInbox(gatewayId: string): ReplyInbox;
  /** Of all these inboxes. */
  leases: Leases;
  outbox: ReplyOutbox;
}

export function describeReplies(create: Create<Replies>): void {
  describe('ReplyInbox and ReplyOutbox', () => {
    it('brings each reply to the one who waits for it, in any order', async () => {
      const { inbox, outbox } = await openInbox(create);
      const [a, b] = [inbox.expect('a'), inbox.expect('b')];
      await outbox.send('b', { error: 'invalid_image' }, inbox.address);
      await outbox.send('a', { result: exampleResult }, inbox.address);
      expect(await a.within(5000)).toEqual({ result: exampleResult });
      expect(await b.within(5000)).toEqual({ error: 'invalid_image' });
    });

    it('keeps a reply that comes before anyone asks within when', async () => {
      const { inbox, outbox } = await openInbox(create);
      const [early, marker] = [inbox.expect('early'), inbox.expect('marker')];
      await outbox.send('early', { error: 'invalid_image' }, inbox.address);
      await outbox.send('marker', { error: 'invalid_image' }, inbox.address);
      await marker.within(5000);
      expect(await early.within(0)).toEqual({ error: 'invalid_image' });
    });

    it('gives up after the time limit', async () => {
      const { inbox } = await openInbox(create);
      expect(await inbox.expect('never').within(1)).toBeUndefined();
    });

    it('goes on waiting when asked again', async () => {
      const { inbox, outbox } = await openInbox(create);
      const waiter = inbox.expect('late');
      expect(await waiter.within(1)).toBeUndefined();
      await outbox.send('late', { error: 'invalid_image' }, inbox.address);
      expect(await waiter.within(5000)).toEqual({ error: 'invalid_image' });
    });

    it('forgets at once when told to', async () => {
      const { inbox } = await openInbox(create);
      const waiter = inbox.expect('left');
      waiter.release();
      waiter.release();
      expect(await waiter.within(60_000)).toBeUndefined();
    });

    it('brings a reply to those who still wait after another one of the same check has left', async () => {
      const { inbox, outbox } = await openInbox(create);
      const [leaving, staying] = [inbox.expect('a'), inbox.expect('a')];
      const [attachedLeaving, attachedStaying] = [await inbox.attach('a'), await inbox.attach('a')];
      leaving.release();
      attachedLeaving.release();
      await outbox.send('a', { result: exampleResult });
      expect(await staying.within(5000)).toEqual({ result: exampleResult });
      expect(await attachedStaying.within(5000)).toEqual({ result: exampleResult });
    });

    it('holds a lease for each waiter and attachment until its release, replied to or not', async () => {
      const { inbox, outbox, leases } = await openInbox(create);
      const waiters = [inbox.expect('a'), inbox.expect('b'), await inbox.attach('b')];
      expect(leases.held()).toMatchObject({ reply_waiter: 3, attachment: 1 });
      await outbox.send('a', { result: exampleResult }, inbox.address);
      await waiters[0]?.within(5000);
      for (const waiter of [...waiters, ...waiters]) waiter.release();
      expect(leases.held()).toMatchObject({ reply_waiter: 0, attachment: 0 });
    });

    it('tells every gateway that attached to a check, each once', async () => {
      const { createInbox, outbox } = await open(create);
      const inboxes = [createInbox(randomUUID()), createInbox(randomUUID())];
      onTestFinished(async () => void (await Promise.all(inboxes.map((inbox) => inbox.close()))));
      const own = inboxes[0]?.expect('a');
      const attached = await Promise.all(inboxes.map((inbox) => inbox.attach('a')));
      await outbox.send('a', { result: exampleResult }, inboxes[0]?.address);
      for (const waiter of [own, ...attached]) {
        expect(await waiter?.within(5000)).toEqual({ result: exampleResult });
      }
    });

    it('drops a reply that nobody waits for, and brings the next one', async () => {
      const { inbox, outbox } = await openInbox(create);
      const wanted = inbox.expect('wanted');
      await outbox.send('unwanted', { error: 'invalid_image' }, inbox.address);
      await outbox.send('wanted', { error: 'invalid_image' }, inbox.address);
      expect(await wanted.within(5000)).toEqual({ error: 'invalid_image' });
    });
  });
}

async function openInbox(create: Create<Replies>) {
  const { createInbox, ...rest } = await open(create);
  const inbox = createInbox(randomUUID());
  onTestFinished(() => inbox.close());
  return { inbox, ...rest };
}
