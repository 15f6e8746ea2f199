import { expect, test } from 'vitest';
import { createSlots, createTurns } from './turns.js';

/** Which of two tenants with much work waiting are next, and for what cost each. */
function share(costs: Record<string, number>, works: number) {
  const turns = createTurns();
  const waiting = Object.entries(costs).flatMap(([tenant, cost]) =>
    Array.from({ length: works }, () => {
      const tag = turns.take({ tenant, cost, headStart: 0 });
      return { tenant, cost, tag };
    }),
  );
  const begun = waiting.toSorted((a, b) => a.tag - b.tag).slice(0, works);
  const sum = (tenant: string) =>
    begun.reduce((total, one) => total + (one.tenant === tenant ? one.cost : 0), 0);
  return Object.keys(costs).map(sum);
}

test('tenants with work waiting get the same cost, whatever one piece of it costs', () => {
  const [small, large] = share({ small: 1, large: 10 }, 110);
  expect(Math.abs(small! - large!)).toBeLessThanOrEqual(10);
});

test('a tenant that had nothing waiting goes before the next turn of each other tenant', () => {
  const turns = createTurns();
  const take = (tenant: string) => turns.take({ tenant, cost: 5, headStart: 500 });
  const flood = (tenant: string) => Array.from({ length: 300 }, () => take(tenant));
  const [a, b] = [flood('a'), flood('b')];
  turns.begun(a[200]!);
  expect(take('small')).toBeLessThan(Math.min(a[201]!, b[200]!));
});

test('a released slot goes to the lowest order that waits, and among equals to the first', async () => {
  const slots = createSlots(1);
  const begun: string[] = [];
  const run = async (name: string, order: number) => {
    const release = await slots.take(order);
    begun.push(name);
    release();
  };
  const release = await slots.take(0);
  const runs = [run('last', 2), run('second', 1), run('third', 1), run('first', 0)];
  release();
  await Promise.all(runs);
  expect(begun).toEqual(['first', 'second', 'third', 'last']);
});
