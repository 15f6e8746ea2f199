import {
  type CheckRecord,
  type CheckResult,
  createDelivery,
  createSession,
  decideVerdict,
  type Delivery,
  recordAttempt,
  type Session,
  SESSION_FINISHED,
  type WebhookEndpoint,
} from '@livegate/core/domain';
import { presentJob, presentVerdict } from '../contract/present-check.js';
import { presentCreatedSession, presentPageState, presentSession } from '../contract/sessions.js';
import { presentDelivery, presentEndpoint } from '../contract/webhooks.js';
import type { Example } from './document-types.js';

// Most examples are made by the functions that make the real answers, so the two cannot differ.

export const exampleId = '019a8f3e-7c52-7d41-9e0b-5a4c1f2d3e6b';
const createdAt = Date.parse('2026-01-01T12:00:00.000Z');
const baseUrl = 'http://127.0.0.1:8080';
const cutPoints = { moderate: 0.48, high: 0.57 };

const decide = (spoofProbability: number) =>
  decideVerdict({ kind: 'scored', spoofProbability }, cutPoints);
const scored = (spoofProbability: number) => presentVerdict(decide(spoofProbability));

export const verdicts: Record<string, Example> = {
  low: { summary: 'A bona fide face', value: scored(0.02611) },
  moderate: { summary: 'Uncertain', value: scored(0.5678) },
  high: { summary: 'Most likely a spoof', value: scored(0.99768) },
  'no face': { summary: 'No face', value: presentVerdict({ kind: 'no_face' }) },
  'many faces': { summary: 'Several faces', value: presentVerdict({ kind: 'too_many_faces' }) },
};

const queued: CheckRecord = { id: exampleId, tenant: 'acme', status: 'queued', createdAt };
const started = { ...queued, startedAt: createdAt + 4 };
const ended = { ...started, finishedAt: createdAt + 41 };
const result: CheckResult = {
  verdict: decide(0.02611),
  model: 'fr-detect/0.0.1+0123abcd, fr-liveness/0.0.1+89abcdef',
  timings: { decodeMs: 6.5, detectMs: 3.8, classifyMs: 22, workerMs: 33 },
};

const records: Record<CheckRecord['status'], CheckRecord> = {
  queued,
  processing: { ...started, status: 'processing' },
  succeeded: { ...ended, status: 'succeeded', outcome: { result } },
  failed: { ...ended, status: 'failed', outcome: { error: 'invalid_image' } },
  canceled: { ...ended, status: 'canceled', outcome: { error: 'canceled' } },
};

const job = (status: CheckRecord['status']) => presentJob(records[status], baseUrl);

export function jobs(...statuses: CheckRecord['status'][]): Record<string, Example> {
  return Object.fromEntries(statuses.map((status) => [status, { value: job(status) }]));
}

const endpoint: WebhookEndpoint = {
  id: 'whe_6f1d2c3b4a59687786950a1b2c3d4e5f',
  tenant: 'acme',
  url: 'https://receiver.example/livegate',
  events: ['passive_liveness.completed', 'passive_liveness.failed'],
  enabled: true,
  createdAt,
  secrets: [],
};
const secret = 'whsec_RXhhbXBsZS1vbmx5LXRoaXMtc2lnbnMtbm90aGluZyE=';
const previousExpiry = new Date(createdAt + 24 * 60 * 60 * 1000).toISOString();

const pending: Delivery = createDelivery({
  id: 'msg_0a1b2c3d4e5f60718293a4b5c6d7e8f9',
  tenant: 'acme',
  target: { endpointId: endpoint.id },
  type: 'passive_liveness.completed',
  payload: '',
  createdAt: createdAt + 45,
});
const delivered = recordAttempt(
  pending,
  { at: createdAt + 50, latencyMs: 23, statusCode: 200, responseExcerpt: '{}' },
  0,
);
const test: Delivery = { ...pending, type: 'webhook.test' };

export const endpoints = {
  one: { value: presentEndpoint(endpoint) },
  disabled: {
    value: presentEndpoint({ ...endpoint, enabled: false, disabledReason: 'requested' }),
  },
  list: { value: { endpoints: [presentEndpoint(endpoint)] } },
  created: { value: { ...presentEndpoint(endpoint), secret } },
  rotated: { value: { id: endpoint.id, secret, previous_secret_expires_at: previousExpiry } },
  deleted: { value: { id: endpoint.id, deleted: true } },
} satisfies Record<string, Example>;

export const tenantSecrets = {
  first: { value: { secret, previous_secret_expires_at: null } },
  rotated: { value: { secret, previous_secret_expires_at: previousExpiry } },
} satisfies Record<string, Example>;

export const deliveries = {
  list: { value: { deliveries: [presentDelivery(delivered)] } },
  test: { value: presentDelivery(test) },
  replayed: {
    value: presentDelivery({ ...delivered, status: 'pending', nextAttemptAt: createdAt }),
  },
} satisfies Record<string, Example>;

export const events: Record<string, Example> = Object.fromEntries(
  (
    [
      ['passive_liveness.completed', 'succeeded'],
      ['passive_liveness.failed', 'failed'],
      ['passive_liveness.canceled', 'canceled'],
    ] as const
  ).map(([type, status]) => [
    status,
    { value: { type, timestamp: job(status).finished_at, data: job(status) } },
  ]),
);

export const sessionId = 'Vx3kQ0aZr9TnB1cD5eF7gH2iJ4kL6mN8';

export const pageToken = 'RXhhbXBsZS10b2tl.c2lnbmF0dXJlLW9mLW5vdG';

const pendingSession: Session = createSession(
  {
    tenant: 'acme',
    successUrl: 'https://shop.example/verified?order=4711',
    cancelUrl: 'https://shop.example/cart',
    maxTries: 3,
    ttlMs: 24 * 60 * 60 * 1000,
    reference: 'order-4711',
    tellUser: false,
    tenantRatePerMinute: 0,
  },
  { sid: sessionId, url: `${baseUrl}/sessions/${sessionId}`, now: createdAt },
);
const hintedSession: Session = { ...pendingSession, photos: 1, hint: 'face_too_close' };
const finishedSession: Session = {
  ...pendingSession,
  status: 'FINISHED',
  tries: 1,
  photos: 2,
  best: { spoofProbability: 0.02611, status: 'LOW' },
  finishedAt: createdAt + 30_000,
};
const running = { checkId: exampleId, startedAt: createdAt, token: '' };
/** The real token is random, and the document must be the same in every process. */
function stateOf(session: Session): Example {
  const state = presentPageState(session, createdAt);
  return { value: { ...state, token: state.token && pageToken } };
}

export const sessions = {
  created: { value: presentCreatedSession(pendingSession) },
  pending: { value: presentSession(pendingSession) },
  finished: { value: presentSession({ ...finishedSession, signals: ['file_upload'] }) },
  deleted: { value: { sid: sessionId, deleted: true } },
  freshState: stateOf(pendingSession),
  hintState: stateOf(hintedSession),
  finishedState: stateOf(finishedSession),
  checkingState: stateOf({ ...pendingSession, photos: 1, running }),
  canceled: { value: { cancel_redirect: 'https://shop.example/cart' } },
  event: {
    value: {
      type: SESSION_FINISHED,
      timestamp: new Date(createdAt + 30_000).toISOString(),
      data: presentSession(finishedSession),
    },
  },
} satisfies Record<string, Example>;

export const testEvent: Example = {
  value: {
    type: 'webhook.test',
    timestamp: new Date(createdAt).toISOString(),
    data: { endpoint_id: endpoint.id },
  },
};

export const modelSets: Example = {
  value: {
    model_sets: [
      {
        livegate_model: 'fr-detect/0.0.1+0123abcd, fr-liveness/0.0.1+89abcdef',
        profile: 'default',
        thresholds: cutPoints,
        calibration: {
          id: '4f0c2b1a',
          method: 'platt',
          data: { name: 'development images', date: '2026-11-26', bona_fide: 238, attacks: 307 },
          figures: { validation: 'leave one source out', ece: 0.083, brier: 0.124 },
        },
        execution_provider: 'cpu',
        models: [
          { name: 'fr-detect', version: '0.0.1', sha256: '0123abcd'.repeat(8), task: 'detect' },
          {
            name: 'fr-liveness',
            version: '0.0.1',
            sha256: '89abcdef'.repeat(8),
            task: 'classify',
            views: [
              { scale: 2, fill: 'reflect' },
              { scale: 2.7, fill: 'zero' },
            ],
          },
        ],
      },
    ],
  },
};

/** A grey square of 64 by 64 pixels: without a face, but a valid image to try. */
export const greySquare =
  'iVBORw0KGgoAAAANSUhEUgAAAEAAAABAAQMAAACQp+OdAAAAA1BMVEWAgICQdD0xAAAACXBIWXMAAAPoAAAD6AG1e1JrAAAA' +
  'D0lEQVQoz2NgGAWjgHwAAAJAAAGMxat3AAAAAElFTkSuQmCC';
