import { setTimeout as sleep } from 'node:timers/promises';
import { type Callers, IMAGES, type CheckRequest } from './callers.js';
import { tenants } from './chaos-product.js';

const POLL_MS = 300;

/** What the callers of a mixed load do, in turn. */
const scripts: ((callers: Callers, asked: CheckRequest) => Promise<unknown>)[] = [
  ({ check }, asked) => check(asked),
  // A retry at another gateway while the first request is on its way.
  ({ check }, asked) => {
    const keyed = { ...asked, key: crypto.randomUUID() };
    return Promise.all([check(keyed), check(keyed)]);
  },
  checkAndPoll,
  async ({ check, end }, asked) => {
    const { id } = await check({ ...asked, waitMs: 0 });
    if (id !== undefined) await end('cancel', asked.tenant, id);
  },
  async ({ check, end }, asked) => {
    const { id } = await check({ ...asked, waitMs: 0 });
    if (id !== undefined) await end('delete', asked.tenant, id);
  },
  ({ check }, asked) => check({ ...asked, waitMs: 1000 }),
  // A caller who comes back with the key of an async check to wait for it.
  async ({ check }, asked) => {
    const keyed = { ...asked, key: crypto.randomUUID() };
    await check({ ...keyed, waitMs: 0 });
    await check(keyed);
  },
  // A caller who repeats a refused or lost request, with the same key.
  async ({ check }, asked) => {
    const keyed = { ...asked, key: crypto.randomUUID() };
    for (let tries = 0; tries < 4; tries += 1) {
      const { status } = await check(keyed);
      if (status === 200) return;
      await sleep(POLL_MS);
    }
  },
  ({ check }, asked) => check({ ...asked, waitMs: 2000, respondAsync: true }),
  async ({ check, end }, asked) => {
    const { id } = await check({ ...asked, respondAsync: true, waitMs: 2000 });
    if (id !== undefined) await end('delete', asked.tenant, id);
  },
];

async function checkAndPoll({ check, read }: Callers, asked: CheckRequest): Promise<void> {
  const { id } = await check({ ...asked, waitMs: 0 });
  if (id === undefined) return;
  for (let polls = 0; polls < 5; polls += 1) {
    const status = await read(asked.tenant, id);
    if (status && !['queued', 'processing'].includes(status)) return;
    await sleep(POLL_MS);
  }
}

/** Starts one caller after another, whether earlier ones have their answers or not. */
export function startLoad(callers: Callers, perSecond: number) {
  const running = new Set<Promise<unknown>>();
  let started = 0;
  const timer = setInterval(() => {
    const n = started++;
    const asked = { tenant: tenants[n % tenants.length]!, image: 1 + (n % IMAGES) };
    const work = scripts[Math.floor(n / tenants.length) % scripts.length]!(callers, asked);
    running.add(work);
    void work.finally(() => running.delete(work));
  }, 1000 / perSecond);

  return {
    /** Resolves when every caller has ended. */
    async stop(): Promise<void> {
      clearInterval(timer);
      await Promise.all(running);
    },
  };
}
