import type { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { writeResult } from '@livegate/core/redis';
import { exampleJob, exampleResult } from '@livegate/testing';
import { describe, expect, it } from 'vitest';
import { redactJobs } from './redact-jobs.js';

const stored = writeResult(exampleResult);
const marks = ['0.02611', 'secret-mark', 'gateway-1', 'image-mark'];

/** What the board shows of a job, by both of its ways to read one. */
async function show(job: object): Promise<Record<string, unknown>> {
  const read = () => ({ id: 'a', name: 'check', opts: {}, ...job });
  const queue = { getJob: async () => read(), getJobs: async () => [read()] };
  const redacted = redactJobs(queue as unknown as BullMQAdapter);
  const [first] = await redacted.getJobs(['completed']);
  const shown = JSON.stringify(first);
  expect(JSON.stringify(await redacted.getJob('a'))).toBe(shown);
  for (const mark of marks) expect(shown).not.toContain(mark);
  return JSON.parse(shown) as Record<string, unknown>;
}

describe('the queue board shows', () => {
  it('the class of a verdict, but neither its score nor the webhook URL', async () => {
    const data = { ...exampleJob, webhookUrl: 'https://example.com/secret-mark' };
    expect(await show({ data, returnvalue: stored })).toMatchObject({
      data: { version: 1, tenant: 'acme', imageBytes: 3 },
      returnvalue: { outcome: 'LOW', classifyMs: 22 },
    });
  });

  it.each([
    [{ kind: 'announce', check: { id: 'a', tenant: 'acme', webhookUrl: 'https://x/secret-mark' } }],
    [{ kind: 'deliver', deliveryId: 'a', receiver: 'https://secret-mark' }],
  ])('no URL of a tenant: %j', async (data) => {
    const shown = await show({ data, opts: { telemetry: { metadata: 'secret-mark' } } });
    expect(shown['data']).toMatchObject({ kind: data.kind });
  });

  it('the code of an error, but neither its message nor its stack', async () => {
    const data = exampleJob;
    const faulty = {
      data,
      finishedOn: 1,
      failedReason: 'no secret-mark',
      stacktrace: ['at secret-mark'],
    };
    expect(await show(faulty)).toMatchObject({ failedReason: 'internal_error', stacktrace: [] });
    const refused = await show({ data, finishedOn: 1, failedReason: 'invalid_image' });
    expect(refused).toMatchObject({ failedReason: 'invalid_image' });
  });

  it.each([
    ['succeeded at a later attempt', { finishedOn: 1, returnvalue: stored }],
    ['is being retried', { attemptsMade: 1 }],
  ])('no failure of a job that %s', async (_, ending) => {
    const shown = await show({ data: exampleJob, failedReason: 'no secret-mark', ...ending });
    expect(shown).not.toHaveProperty('failedReason');
  });

  it('no property that it does not know', async () => {
    const data = { ...exampleJob, image: 'image-mark' };
    const returnvalue = { ...stored, image: 'image-mark' };
    const shown = await show({ data, returnvalue, image: 'image-mark' });
    expect(Object.keys(shown['data'] as object)).toEqual(['version', 'tenant', 'imageBytes']);
  });
});

it('the queue board shows nothing for a job that does not exist', async () => {
  const queue = { getJob: async () => undefined, getJobs: async () => [] };
  expect(await redactJobs(queue as unknown as BullMQAdapter).getJob('a')).toBeUndefined();
});
