import { expect, onTestFinished, test } from 'vitest';
import { serveHealth } from './health.js';

async function startHealth(state: { runMs?: number; problem?: string } = {}) {
  const health = await serveHealth(
    { host: '127.0.0.1', port: 0 },
    { longestRunMs: () => state.runMs ?? 0, findProblem: () => state.problem },
  );
  onTestFinished(health.close);
  return async (path: string, method = 'GET') => {
    const response = await fetch(`http://127.0.0.1:${health.port}${path}`, { method });
    return { status: response.status, body: await response.json() };
  };
}

const ok = { status: 200, body: { status: 'ok' } };
const unavailable = (problem: string) => ({
  status: 503,
  body: { status: 'unavailable', problem },
});

test('a busy worker is alive and ready', async () => {
  const ask = await startHealth({ runMs: 29_000 });
  expect(await ask('/livez')).toEqual(ok);
  expect(await ask('/readyz')).toEqual(ok);
});

test('a worker with a hung engine is not alive', async () => {
  const ask = await startHealth({ runMs: 31_000 });
  expect(await ask('/livez')).toEqual(unavailable('an engine run has not ended for 31 s'));
});

test('a worker without Redis is alive but not ready, because a restart would not help', async () => {
  const ask = await startHealth({ problem: 'Redis has not been reached' });
  expect(await ask('/readyz')).toEqual(unavailable('Redis has not been reached'));
  expect(await ask('/livez')).toEqual(ok);
});

test('other paths and methods get 404', async () => {
  const ask = await startHealth();
  expect(await ask('/')).toMatchObject({ status: 404 });
  expect(await ask('/livez', 'POST')).toMatchObject({ status: 404 });
});
