import { choose, known, type Model } from '../model.js';
import { type Command, compareAll, passTime } from './compare.js';

export function expireImage(index: number): Command {
  return {
    check: (model) => known(model).length > 0,
    async run(model, real) {
      const check = choose(known(model), index);
      await real.world.store.imageStore.delete(check.id);
      check.imageExpired = true;
      await compareAll(model, real);
    },
    toString: () => `expireImage(${index})`,
  };
}

/** Expires a result with its key and image, whose TTLs started earlier. */
export function expireResult(index: number): Command {
  const ended = (model: Model) => known(model).filter(({ job }) => job === 'ended');
  return {
    check: (model) => ended(model).length > 0,
    async run(model, real) {
      const check = choose(ended(model), index);
      const { store } = real.world;
      const { id, tenant, keySha256 } = (await store.queue.read(check.id))!;
      if (keySha256 !== undefined) await store.idempotencyKeys.release({ tenant, keySha256 }, id);
      await store.imageStore.delete(id);
      await store.expireResult(id);
      check.isUnknown = true;
      await compareAll(model, real);
    },
    toString: () => `expireResult(${index})`,
  };
}

export function pass(ms: number): Command {
  return {
    check: () => true,
    run: (model, real) => passTime(model, real, ms),
    toString: () => `pass(${ms})`,
  };
}
