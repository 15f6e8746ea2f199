import { LivegateError } from '@livegate/core/domain';
import type { KeyAddress, KeyClaim } from '@livegate/core/ports';
import type { Parts, Plant } from './simulate.js';
import { REFUSED_IMAGE, type SimulatedBatch } from './worker.js';

type Store = Parts['store'];

/** Replaces a port of the store by one that is faulty as `spoil` makes it. */
const inPort =
  <Name extends 'queue' | 'imageStore' | 'idempotencyKeys'>(
    name: Name,
    spoil: (port: Store[Name]) => Partial<Store[Name]>,
  ): Plant =>
  (parts) => {
    const port = parts.store[name];
    return { ...parts, store: { ...parts.store, [name]: { ...port, ...spoil(port) } } };
  };

const inEngine =
  (spoil: (run: SimulatedBatch) => SimulatedBatch): Plant =>
  (parts) => ({ ...parts, run: spoil(parts.run) });

/** Faults of the kind that a change of the product could bring. Each must be found. */
export const plants: Record<string, Plant> = {
  'a claim of a key does not look for an earlier claim': inPort('idempotencyKeys', (keys) => ({
    async claim(at: KeyAddress, claim: KeyClaim) {
      const current = await keys.claim(at, claim);
      if (current.id === claim.id) return current;
      return keys.replace(at, current, claim);
    },
  })),
  'a key is not kept apart by tenant': inPort('idempotencyKeys', (keys) => ({
    claim: (at, claim) => keys.claim({ ...at, tenant: '' }, claim),
    replace: (at, held, next) => keys.replace({ ...at, tenant: '' }, held, next),
    release: (at, id) => keys.release({ ...at, tenant: '' }, id),
  })),
  'a deleted check that runs stays readable': inPort('queue', (queue) => ({
    hide: async () => undefined,
    async delete(id) {
      if ((await queue.read(id))?.status !== 'processing') await queue.delete(id);
    },
  })),
  'the worker does not see cancellations': (parts) => {
    const { store } = parts;
    const { hasEndpoints } = store;
    const find: typeof store.queue.find = async () => new Map();
    const outbox = store.replies.createOutbox({ find, hasEndpoints });
    const replies = { ...store.replies, outbox };
    return { ...parts, store: { ...store, queue: { ...store.queue, find }, replies } };
  },
  'a cancellation of an ended check is confirmed': inPort('queue', (queue) => ({
    cancel: async (id) => (await queue.cancel(id)) || true,
  })),
  'the jobs of a dead worker stay with it': (parts) => {
    const { store } = parts;
    // Its death is not noticed.
    const take: Store['take'] = (process) =>
      store.take({ ...process, died: new Promise(() => {}) });
    return { ...parts, store: { ...store, take } };
  },
  'a check is announced only after its end': (parts) => ({
    ...parts,
    announceBeforeEnd: async () => undefined,
  }),
  'a delivery counts as made before it is sent': (parts) => ({
    ...parts,
    async send(message) {
      void parts.send(message);
      return { at: performance.now(), latencyMs: 0, statusCode: 200 };
    },
  }),
  'a batch answers in another order': inEngine((run) => async (images) => {
    const answers = await run(images);
    return answers.toReversed();
  }),
  'a refused image fails its whole batch': inEngine((run) => async (images) => {
    if (images.includes(REFUSED_IMAGE)) throw new LivegateError('invalid_image');
    return run(images);
  }),
  'reading an image deletes it': inPort('imageStore', (images) => ({
    async get(ids) {
      const found = await images.get(ids);
      await Promise.all(ids.map(images.delete));
      return found;
    },
  })),
  'the image of an ended check is not deleted': inPort('imageStore', () => ({
    delete: async () => undefined,
  })),
  'a reply reaches the caller of another check': (parts) => {
    const { replies } = parts.store;
    let earlier: Parameters<typeof replies.outbox.send>[1] | undefined;
    const send: typeof replies.outbox.send = async (check, outcome) => {
      const sent = earlier ?? outcome;
      earlier = outcome;
      return replies.outbox.send(check, sent);
    };
    return { ...parts, store: { ...parts.store, replies: { ...replies, outbox: { send } } } };
  },
  'a caller waits longer than its limit': (parts) => {
    const { replies } = parts.store;
    const createInbox: typeof replies.createInbox = (gatewayId) => {
      const inbox = replies.createInbox(gatewayId);
      return {
        ...inbox,
        expect(id) {
          const waiter = inbox.expect(id);
          return { ...waiter, within: (ms) => waiter.within(ms + 20_000) };
        },
      };
    };
    return { ...parts, store: { ...parts.store, replies: { ...replies, createInbox } } };
  },
  'a waiter for a reply is not released': (parts) => {
    const { replies } = parts.store;
    const createInbox: typeof replies.createInbox = (gatewayId) => {
      const inbox = replies.createInbox(gatewayId);
      const keep = { release: () => undefined, [Symbol.dispose]: () => undefined };
      return { ...inbox, expect: (id) => ({ ...inbox.expect(id), ...keep }) };
    };
    return { ...parts, store: { ...parts.store, replies: { ...replies, createInbox } } };
  },
};
