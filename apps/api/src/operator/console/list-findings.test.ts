import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { listFindings } from './list-findings.js';
import type { Snapshot, TenantState, WorkerState } from './snapshot.js';

type Facts = Parameters<typeof listFindings>[0];

const worker: WorkerState = {
  id: 'w1',
  isMeasured: true,
  silentSeconds: 2,
  isSilent: false,
  provider: 'cpu',
  profile: 'default',
  models: [],
  layout: {},
  utilization: 0.3,
  checksPerSecond: 4,
  runAgeSeconds: 0,
  auditFailures: 0,
};
const redis = {
  name: 'queue',
  isReachable: true,
  usedBytes: 10,
  limitBytes: 100,
  isPersisting: true,
  answerMs: 1,
};
const tenant: TenantState = {
  tenant: 'acme',
  perSecond: 3,
  share: 0.5,
  hours: [],
  shift: undefined,
};
const shift = (recent: [number, number], reference: [number, number]) => ({
  recent: { checks: recent[0], high: recent[1] },
  reference: { checks: reference[0], high: reference[1] },
  risenCode: undefined,
});

/** The facts of a healthy installation, with these changes. */
function facts(changes: Partial<Facts> = {}): Facts {
  return {
    at: 0,
    gateway: 'g1',
    redis: { isReachable: true, servers: [redis] },
    rates: { checks: 6, refused: 0, failed: 0 },
    latency: { p50Ms: 200, p99Ms: 400, checks: 100, seconds: 60 },
    queue: {
      waiting: 2,
      running: 2,
      oldestAgeSeconds: 0.1,
      oldestAsyncAgeSeconds: 40,
      secondsOfWork: 0.3,
    },
    webhooks: { waiting: 0, oldestAgeSeconds: 0, failing: [] },
    batches: { mean: 1, sizes: [] },
    workers: [worker, { ...worker, id: 'w2' }],
    gateways: [{ id: 'g1', silentSeconds: 1, isSilent: false, isReady: true, uploadShare: 0.1 }],
    tenants: [tenant, { ...tenant, tenant: 'zeta' }],
    failures: [],
    scores: {
      index: 0.02,
      limit: 0.25,
      from: [],
      recent: [],
      reference: [],
      recentChecks: 900,
      referenceChecks: 9000,
    },
    series: {
      stepSeconds: 15,
      checks: [],
      refused: [],
      failed: [],
      waiting: [],
      p50Ms: [],
      p99Ms: [],
    },
    ...changes,
  };
}

const flooded = [
  { ...tenant, perSecond: 46, share: 0.92 },
  { ...tenant, tenant: 'zeta', perSecond: 4, share: 0.08 },
];
const longQueue: Snapshot['queue'] = {
  waiting: 412,
  running: 4,
  oldestAgeSeconds: 14,
  oldestAsyncAgeSeconds: 0,
  secondsOfWork: 30,
};
const silent = { ...worker, id: 'w2', isSilent: true, silentSeconds: 40.3 };
const failing = { tenant: 'acme', endpoint: 'whe_1', failures: 3, outcome: 'no_answer', at: 0 };
const servers = (change: Partial<typeof redis>) => ({
  redis: { isReachable: true, servers: [{ ...redis, ...change }] },
});

/** What is staged, the id of its finding, and how its text begins. */
const staged: [string, Partial<Facts>, string, string][] = [
  [
    'a dead worker',
    { workers: [worker, silent] },
    'silent-w2',
    'Worker w2 has not reported for 40 s',
  ],
  ['no worker', { workers: [] }, 'no-worker', 'No worker is alive.'],
  [
    'a dead gateway',
    { gateways: [{ ...facts().gateways[0]!, isSilent: true, silentSeconds: 20 }] },
    'silent-g1',
    'Gateway g1 has not reported for 20 s',
  ],
  [
    'Redis away',
    { redis: { isReachable: false, servers: [] } },
    'redis-unreachable',
    'Redis does not answer this gateway.',
  ],
  [
    'a slow Redis',
    servers({ answerMs: 320 }),
    'redis-slow-queue',
    'The Redis for queue takes 320 ms',
  ],
  [
    'a full disk',
    servers({ isPersisting: false }),
    'redis-disk-queue',
    'The Redis for queue cannot write to its disk, which is probably full.',
  ],
  [
    'the Redis for images away',
    servers({ name: 'images', isReachable: false }),
    'redis-away-images',
    'The Redis for images does not answer this gateway.',
  ],
  [
    'a full memory',
    servers({ usedBytes: 95 }),
    'redis-memory-queue',
    'The memory of the Redis for queue is 95 % full.',
  ],
  [
    'a tenant that floods the queue',
    { tenants: flooded, queue: longQueue },
    'flood-acme',
    'Tenant acme sends 92 % of the checks, 46 requests a second',
  ],
  [
    'a tenant over its rate',
    { tenants: flooded, rates: { checks: 6, refused: 40, failed: 0 } },
    'flood-acme',
    'Tenant acme sends 92 % of the checks',
  ],
  ['a long queue', { queue: longQueue }, 'queue-long', '412 checks wait, the oldest for 14 s.'],
  [
    'old async checks',
    { queue: { ...longQueue, oldestAgeSeconds: 0, secondsOfWork: 1, oldestAsyncAgeSeconds: 120 } },
    'queue-long',
    '412 checks wait, the oldest for 120 s.',
  ],
  [
    'refusals',
    { rates: { checks: 6, refused: 0.1, failed: 0 } },
    'refusing',
    '6 requests a minute are refused',
  ],
  [
    'faults',
    { rates: { checks: 6, refused: 0, failed: 2 } },
    'faults',
    '2 requests a second end with a fault of the service',
  ],
  [
    'a receiver down',
    { webhooks: { waiting: 3, oldestAgeSeconds: 1, failing: [failing] } },
    'receiver-acme-whe_1',
    'The webhook receiver whe_1 of tenant acme is down: 3 attempts in a row failed, the latest with no answer',
  ],
  [
    'a camera update that doubles HIGH',
    {
      tenants: [
        {
          ...tenant,
          shift: {
            ...shift([400, 80], [9000, 900]),
            risenCode: { code: 'image_too_dark', recent: 0.31, reference: 0.02 },
          },
        },
      ],
    },
    'high-acme',
    'Tenant acme gets HIGH for 20 % of its checks in the last half hour, 10 % in the week before. The quality code image_too_dark rose from 2 % to 31 %.',
  ],
  [
    'a shift of all scores',
    { scores: { ...facts().scores, index: 0.4 } },
    'score-shift',
    'The scores of the last hour are distributed differently than in the last week (stability index 0.40',
  ],
  [
    'a hanging engine',
    { workers: [{ ...worker, runAgeSeconds: 45 }] },
    'engine-w1',
    'An engine of worker w1 has been in one run for 45 s.',
  ],
  [
    'a full disk of a worker',
    { workers: [{ ...worker, auditFailures: 7 }] },
    'audit-w1',
    'Worker w1 could not write 7 audit records. Its disk may be full.',
  ],
];

describe('findings', () => {
  it('are empty for a healthy installation', () => {
    expect(listFindings(facts())).toEqual([]);
  });

  it.each(staged)('name %s', (_name, changes, id, text) => {
    const found = listFindings(facts(changes)).find((finding) => finding.id === id);
    expect(found?.text.slice(0, text.length)).toBe(text);
  });

  it.each(staged)('open a section of the runbook: %s', (_name, changes) => {
    const runbook = readFileSync(
      new URL('../../../../../docs/how-to/runbook.md', import.meta.url),
      'utf8',
    );
    const anchors = [...runbook.matchAll(/^#{2,3} (.+)$/gm)].map(([, title = '']) =>
      title.toLowerCase().replaceAll(' ', '-'),
    );
    for (const finding of listFindings(facts(changes))) expect(anchors).toContain(finding.runbook);
  });

  it('put critical ones first', () => {
    const found = listFindings(
      facts({ ...servers({ isPersisting: false, answerMs: 900 }), queue: longQueue }),
    );
    expect(found.map(({ severity }) => severity)).toEqual(['critical', 'warning', 'warning']);
    expect(found[0]?.id).toBe('redis-disk-queue');
  });

  it.each<[string, Partial<Facts>]>([
    ['a tenant that sends most while nobody waits', { tenants: flooded }],
    ['the only tenant in a long queue', { tenants: [{ ...tenant, share: 1 }], queue: longQueue }],
    [
      'one failed attempt',
      { webhooks: { ...facts().webhooks, failing: [{ ...failing, failures: 1 }] } },
    ],
    ['a Redis without a memory limit', servers({ limitBytes: 0, usedBytes: 1e12 })],
    [
      'HIGH that doubles by chance in few checks',
      { tenants: [{ ...tenant, shift: shift([50, 10], [9000, 900]) }] },
    ],
    [
      'HIGH that rises by a tenth in many checks',
      { tenants: [{ ...tenant, shift: shift([90_000, 9900], [900_000, 90_000]) }] },
    ],
    ['HIGH that falls', { tenants: [{ ...tenant, shift: shift([900, 9], [9000, 900]) }] }],
  ])('do not blame %s', (_name, changes) => {
    const ids = listFindings(facts(changes)).map(({ id }) => id);
    expect(ids.filter((id) => id !== 'queue-long')).toEqual([]);
  });

  it('notice a first HIGH where there was none', () => {
    const tenants = [{ ...tenant, shift: shift([100, 20], [1000, 0]) }];
    expect(listFindings(facts({ tenants }))).toMatchObject([{ id: 'high-acme' }]);
  });

  it('call a silent worker critical only when no other is alive', () => {
    const severityOf = (workers: WorkerState[]) =>
      listFindings(facts({ workers })).find(({ id }) => id === 'silent-w2')?.severity;
    expect(severityOf([worker, silent])).toBe('warning');
    expect(severityOf([silent])).toBe('critical');
  });
});
