import { randomUUID } from 'node:crypto';
import type { Leases } from '@livegate/core/domain';
import type { Cancellation, ReplyInbox, ReplyOutbox } from '@livegate/core/ports';
import { describe, expect, it, onTestFinished } from 'vitest';
import { exampleResult } from '../examples.js';
import { type CreatePort, openPort } from './open-port.js';

export interface Replies {
  createInbox(gatewayId: string): ReplyInbox;
  /** The leases of all these inboxes. */
  leases: Leases;
  outbox: ReplyOutbox;
  /** Cancels or deletes a check before its end. */
  mark(id: string, cancellation: Cancellation): Promise<unknown>;
  /** A tenant with webhook endpoints. */
  notified: string;
}

const check = (id: string) => ({ id, tenant: 'acme' });

export function describeReplies(create: CreatePort<Replies>): void {
  describe('ReplyInbox and ReplyOutbox', () => {
    it('resolves each waiter with the reply to its check, in any order', async () => {
      const { inbox, outbox } = await openInbox(create);
      const [a, b] = [inbox.expect('a'), inbox.expect('b')];
      await outbox.send({ ...check('b'), replyTo: inbox.address }, { error: 'invalid_image' });
      await outbox.send({ ...check('a'), replyTo: inbox.address }, { result: exampleResult });
      expect(await a.within(5000)).toEqual({ result: exampleResult });
      expect(await b.within(5000)).toEqual({ error: 'invalid_image' });
    });

    it('keeps a reply that arrives before within is called', async () => {
      const { inbox, outbox } = await openInbox(create);
      const [early, marker] = [inbox.expect('early'), inbox.expect('marker')];
      await outbox.send({ ...check('early'), replyTo: inbox.address }, { error: 'invalid_image' });
      await outbox.send({ ...check('marker'), replyTo: inbox.address }, { error: 'invalid_image' });
      await marker.within(5000);
      expect(await early.within(0)).toEqual({ error: 'invalid_image' });
    });

    it('resolves to undefined after the time limit', async () => {
      const { inbox } = await openInbox(create);
      expect(await inbox.expect('never').within(1)).toBeUndefined();
    });

    it('waits again when within is called again', async () => {
      const { inbox, outbox } = await openInbox(create);
      const waiter = inbox.expect('late');
      expect(await waiter.within(1)).toBeUndefined();
      await outbox.send({ ...check('late'), replyTo: inbox.address }, { error: 'invalid_image' });
      expect(await waiter.within(5000)).toEqual({ error: 'invalid_image' });
    });

    it('resolves to undefined at once after the release', async () => {
      const { inbox } = await openInbox(create);
      const waiter = inbox.expect('left');
      waiter.release();
      waiter.release();
      expect(await waiter.within(60_000)).toBeUndefined();
    });

    it('replies to the remaining waiters after another waiter of the check has left', async () => {
      const { inbox, outbox } = await openInbox(create);
      const [leaving, staying] = [inbox.expect('a'), inbox.expect('a')];
      const [attachedLeaving, attachedStaying] = [await inbox.attach('a'), await inbox.attach('a')];
      leaving.release();
      attachedLeaving.release();
      await outbox.send(check('a'), { result: exampleResult });
      expect(await staying.within(5000)).toEqual({ result: exampleResult });
      expect(await attachedStaying.within(5000)).toEqual({ result: exampleResult });
    });

    it('holds a lease for each waiter and attachment until its release, with or without a reply', async () => {
      const { inbox, outbox, leases } = await openInbox(create);
      const waiters = [inbox.expect('a'), inbox.expect('b'), await inbox.attach('b')];
      expect(leases.held()).toMatchObject({ reply_waiter: 3, attachment: 1 });
      await outbox.send({ ...check('a'), replyTo: inbox.address }, { result: exampleResult });
      await waiters[0]?.within(5000);
      for (const waiter of [...waiters, ...waiters]) waiter.release();
      expect(leases.held()).toMatchObject({ reply_waiter: 0, attachment: 0 });
    });

    it('replies once to every gateway that attached to the check', async () => {
      const { createInbox, outbox } = await openPort(create);
      const inboxes = [createInbox(randomUUID()), createInbox(randomUUID())] as const;
      onTestFinished(async () => void (await Promise.all(inboxes.map((inbox) => inbox.close()))));
      const own = inboxes[0].expect('a');
      const attached = await Promise.all(inboxes.map((inbox) => inbox.attach('a')));
      await outbox.send({ ...check('a'), replyTo: inboxes[0].address }, { result: exampleResult });
      for (const waiter of [own, ...attached]) {
        expect(await waiter?.within(5000)).toEqual({ result: exampleResult });
      }
    });

    it.each(['canceled', 'deleted'] as const)(
      'sends that a check was canceled instead of its outcome, and resolves to "%s"',
      async (cancellation) => {
        const { inbox, outbox, mark } = await openInbox(create);
        const [waiter, attached] = [inbox.expect('a'), await inbox.attach('b')];
        await mark('a', cancellation);
        await mark('b', cancellation);
        const outcome = { result: exampleResult };
        const found = { cancellation, hasEndpoints: false };
        const own = { ...check('a'), replyTo: inbox.address };
        expect(await outbox.send(own, outcome)).toEqual(found);
        expect(await outbox.send(check('b'), outcome)).toEqual(found);
        expect(await waiter.within(5000)).toEqual({ error: 'canceled' });
        expect(await attached.within(5000)).toEqual({ error: 'canceled' });
        expect(await outbox.send(check('c'), outcome)).toEqual({ hasEndpoints: false });
      },
    );

    it('says whether the tenant has webhook endpoints', async () => {
      const { inbox, outbox, notified } = await openInbox(create);
      const own = { id: 'a', tenant: notified, replyTo: inbox.address };
      const outcome = { result: exampleResult };
      expect(await outbox.send(own, outcome)).toEqual({ hasEndpoints: true });
    });

    it('drops a reply without a waiter, and delivers the next one', async () => {
      const { inbox, outbox } = await openInbox(create);
      const wanted = inbox.expect('wanted');
      await outbox.send(
        { ...check('unwanted'), replyTo: inbox.address },
        { error: 'invalid_image' },
      );
      await outbox.send({ ...check('wanted'), replyTo: inbox.address }, { error: 'invalid_image' });
      expect(await wanted.within(5000)).toEqual({ error: 'invalid_image' });
    });
  });
}

async function openInbox(create: CreatePort<Replies>) {
  const { createInbox, ...rest } = await openPort(create);
  const inbox = createInbox(randomUUID());
  onTestFinished(() => inbox.close());
  return { inbox, ...rest };
}
