import { flowName, type QueuedCheck } from '@livegate/core/domain';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  createLargeSlots,
  KEEP_SLOT_MS,
  type LargeCheck,
  type LargeLimits,
} from './large-slots.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const shareOf = (tenant: string, ms = 100, weight = 1): QueuedCheck => ({
  flow: flowName(tenant, 'awaited'),
  weight,
  ms,
});

/** A worker that decodes as soon as it gets a slot, and requeues what gets none. */
function openWorker(limits: Partial<LargeLimits> = {}) {
  const slots = createLargeSlots({ images: 1, megabytes: 500, ...limits });
  const running = new Map<string, () => void>();
  const started: string[] = [];
  /** Checks that another worker takes from the queue. */
  const gone = new Set<string>();
  function take(check: LargeCheck): void {
    const release = slots.take(check);
    if (!release) return slots.awaitSlot(check, () => wake(check));
    started.push(check.id);
    running.set(check.id, release);
  }
  async function wake(check: LargeCheck): Promise<void> {
    if (gone.has(check.id)) throw new Error('the job is not delayed');
    take(check);
  }
  return {
    slots,
    started,
    gone,
    take: (id: string, share: QueuedCheck, megabytes = 300) => take({ id, share, megabytes }),
    end(id = [...running.keys()][0]!) {
      running.get(id)!();
      running.delete(id);
    },
    isIdle: () => running.size === 0,
  };
}

describe('the slots for large images', () => {
  it('give the next one to a tenant that had none, however many images another one has waiting', () => {
    const { take, end, started } = openWorker();
    for (let n = 0; n < 20; n++) take(`acme ${n}`, shareOf('acme'));
    take('globex', shareOf('globex'));
    end();
    end();
    end();
    expect(started).toEqual(['acme 0', 'globex', 'acme 1', 'acme 2']);
  });

  it('share the work between tenants by their weights, within one image of each', () => {
    const times = fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 20, maxLength: 40 });
    const weights = fc.integer({ min: 1, max: 5 });
    fc.assert(
      fc.property(times, times, weights, weights, (a, b, weightOfA, weightOfB) => {
        const { take, end, started, isIdle } = openWorker();
        const add = (tenant: string, all: number[], weight: number) =>
          all.forEach((ms, n) => take(`${tenant} ${n}`, shareOf(tenant, ms, weight)));
        add('a', a, weightOfA);
        add('b', b, weightOfB);
        while (!isIdle()) end();
        expect(started).toHaveLength(a.length + b.length);
        const served = { a: 0, b: 0 };
        for (const id of started) {
          const [tenant, n] = id.split(' ') as ['a' | 'b', string];
          const [all, weight] = tenant === 'a' ? [a, weightOfA] : [b, weightOfB];
          served[tenant] += all[Number(n)]! / weight;
          if (Number(n) === all.length - 1) break;
          const most = Math.max(...a) / weightOfA + Math.max(...b) / weightOfB;
          expect(Math.abs(served.a - served.b)).toBeLessThanOrEqual(most);
        }
      }),
    );
  });

  it('give a tenant nothing for the time in which it had no images', () => {
    const { take, end, started } = openWorker();
    for (let n = 0; n < 30; n++) take(`acme ${n}`, shareOf('acme'));
    for (let n = 0; n < 20; n++) end();
    for (let n = 0; n < 5; n++) take(`globex ${n}`, shareOf('globex'));
    started.length = 0;
    for (let n = 0; n < 6; n++) end();
    expect(started.filter((id) => id.startsWith('globex'))).toHaveLength(3);
  });

  it('are also limited by memory, and small images do not keep a larger one waiting', () => {
    const { take, end, started } = openWorker({ images: 4 });
    take('small 1', shareOf('acme'), 200);
    take('small 2', shareOf('acme'), 200);
    take('largest', shareOf('globex'), 500);
    take('small 3', shareOf('initech'), 100);
    end('small 1');
    expect(started).toEqual(['small 1', 'small 2']);
    end('small 2');
    expect(started).toEqual(['small 1', 'small 2', 'largest']);
    end('largest');
    expect(started.at(-1)).toBe('small 3');
  });

  it('wake the next check if another worker has taken the one whose turn it was', async () => {
    const { take, end, started, gone } = openWorker();
    for (const id of ['acme 0', 'acme 1', 'acme 2']) take(id, shareOf('acme'));
    gone.add('acme 1');
    end();
    await vi.advanceTimersByTimeAsync(0);
    expect(started).toEqual(['acme 0', 'acme 2']);
  });

  it('keep a slot for a woken check that does not come, and then wake the next one', async () => {
    const { slots, take, end, started } = openWorker();
    take('acme 0', shareOf('acme'));
    const share = shareOf('globex');
    slots.awaitSlot({ id: 'elsewhere', share, megabytes: 300 }, async () => undefined);
    take('acme 1', shareOf('acme'));
    end();
    expect(started).toEqual(['acme 0']);
    await vi.advanceTimersByTimeAsync(KEEP_SLOT_MS);
    expect(started).toEqual(['acme 0', 'acme 1']);
  });

  it('wake a check at once if a slot became free before it waited', () => {
    const { slots, take, end, started } = openWorker();
    take('acme 0', shareOf('acme'));
    const check = { id: 'globex', share: shareOf('globex'), megabytes: 300 };
    expect(slots.take(check)).toBeUndefined();
    end();
    const wake = vi.fn<() => Promise<void>>(async () => undefined);
    slots.awaitSlot(check, wake);
    expect(wake).toHaveBeenCalledOnce();
    expect(slots.take(check)).toBeDefined();
    expect(started).toEqual(['acme 0']);
  });
});
