import { describe, expect, it } from 'vitest';
import { exampleDelivery, exampleEndpoint } from '../../../testing/src/webhook-examples.js';
import {
  deliveryIdOf,
  deliveryTtlSeconds,
  failDelivery,
  receiverOf,
  recordAttempt,
  replayDelivery,
} from './webhook-delivery.js';
import {
  activeSecrets,
  createWebhookSecret,
  disableEndpoint,
  enableEndpoint,
  eventOf,
  rotateSecrets,
} from './webhooks.js';

const day = 24 * 60 * 60;
const answered = (statusCode: number) => ({ at: 1000, latencyMs: 10, statusCode });

describe('a delivery', () => {
  it('succeeds with the first 2xx and has no next attempt', () => {
    const succeeded = recordAttempt(exampleDelivery(), answered(204), 0);
    expect(succeeded).toMatchObject({ status: 'succeeded', attempts: [{ statusCode: 204 }] });
    expect(succeeded.nextAttemptAt).toBeUndefined();
  });

  it('stays pending after a failed attempt and is retried after the wait', () => {
    const pending = recordAttempt(exampleDelivery(), answered(500), 0);
    expect(pending).toMatchObject({ status: 'pending', failures: 1, nextAttemptAt: 6010 });
  });

  it('fails with its tenth failed attempt', () => {
    let delivery = exampleDelivery();
    for (let n = 0; n < 9; n++) delivery = recordAttempt(delivery, answered(500), 0);
    expect(delivery.status).toBe('pending');
    delivery = recordAttempt(delivery, answered(500), 0);
    expect(delivery).toMatchObject({ status: 'failed', failure: 'attempts_exhausted' });
    expect(delivery.attempts).toHaveLength(10);
    expect(delivery.nextAttemptAt).toBeUndefined();
  });

  it('fails at once when the receiver answers 410', () => {
    const gone = recordAttempt(exampleDelivery(), answered(410), 0);
    expect(gone).toMatchObject({ status: 'failed', failure: 'endpoint_gone' });
  });

  it('keeps its status when an attempt ends after it, and logs that attempt', () => {
    const succeeded = recordAttempt(exampleDelivery(), answered(200), 0);
    const late = recordAttempt(succeeded, answered(500), 0);
    expect(late).toMatchObject({ status: 'succeeded', failures: 0 });
    expect(late.attempts).toHaveLength(2);
    expect(failDelivery(succeeded, 'endpoint_deleted')).toEqual(succeeded);
  });

  it('restarts its schedule on a replay, with the same id and log', () => {
    const gone = recordAttempt(exampleDelivery(), answered(410), 0);
    const replayed = replayDelivery(gone, 5000);
    expect(replayed).toMatchObject({ id: gone.id, status: 'pending', nextAttemptAt: 5000 });
    expect(replayed.failure).toBeUndefined();
    expect(recordAttempt(replayed, answered(500), 0)).toMatchObject({ failures: 1 });
  });

  it('keeps its payload when it ends only if it can be replayed', () => {
    const target = { url: 'https://example.com/' };
    for (const status of [200, 410]) {
      const replayable = recordAttempt(exampleDelivery(), answered(status), 0);
      expect(replayable.payload).toBe(exampleDelivery().payload);
      expect(recordAttempt(exampleDelivery({ target }), answered(status), 0).payload).toBe('');
    }
    const pending = recordAttempt(exampleDelivery({ target }), answered(500), 0);
    expect(pending.payload).toBe(exampleDelivery().payload);
  });

  it('keeps the answer of the latest attempt only', () => {
    const first = { ...answered(500), responseExcerpt: 'first' };
    const second = { ...answered(502), responseExcerpt: 'second' };
    const delivery = recordAttempt(recordAttempt(exampleDelivery(), first, 0), second, 0);
    const excerpts = delivery.attempts.map(({ responseExcerpt }) => responseExcerpt);
    expect(excerpts).toEqual([undefined, 'second']);
    expect(delivery.attempts[0]).toMatchObject(answered(500));
  });

  it.each([
    ['pending, for its schedule of 3.2 days', { endpointId: 'whe_1' }, 500, 7 * day],
    ['pending to its own URL', { url: 'https://example.com/' }, 500, 7 * day],
    ['failed, for a replay', { endpointId: 'whe_1' }, 410, 7 * day],
    ['succeeded', { endpointId: 'whe_1' }, 200, day],
    ['failed to its own URL', { url: 'https://example.com/' }, 410, day / 24],
    ['succeeded to its own URL', { url: 'https://example.com/' }, 200, day / 24],
  ])('is kept as long as it is of use: %s', (_name, target, statusCode, seconds) => {
    const delivery = recordAttempt(exampleDelivery({ target }), answered(statusCode), 0);
    expect(deliveryTtlSeconds(delivery)).toBe(seconds);
  });

  it('keeps the latest 30 attempts in its log', () => {
    let delivery = exampleDelivery();
    for (let n = 0; n < 31; n++) delivery = recordAttempt(delivery, answered(500 + n), 0);
    expect(delivery.attempts).toHaveLength(30);
    expect(delivery.attempts.at(-1)?.statusCode).toBe(530);
  });
});

describe('the id of a delivery', () => {
  it('is unique for each check and receiver', () => {
    const id = deliveryIdOf('check', { endpointId: 'whe_1' });
    expect(id).toMatch(/^msg_[0-9a-f]{32}$/);
    expect(deliveryIdOf('check', { endpointId: 'whe_1' })).toBe(id);
    expect(deliveryIdOf('check', { endpointId: 'whe_2' })).not.toBe(id);
    const [url, other] = ['https://example.com/', 'https://example.com/other'];
    expect(deliveryIdOf('check', { url })).not.toBe(id);
    expect(deliveryIdOf('check', { url })).not.toBe(deliveryIdOf('check', { url: other }));
    expect(deliveryIdOf('other', { endpointId: 'whe_1' })).not.toBe(id);
  });
});

describe('the receiver of a delivery', () => {
  it('is its endpoint, or its tenant and the origin of its URL', () => {
    expect(receiverOf(exampleDelivery())).toBe('whe_1');
    const target = { url: 'https://example.com/a?token=b' };
    expect(receiverOf(exampleDelivery({ target }))).toBe('acme https://example.com');
  });
});

describe('webhook secrets', () => {
  it('start with whsec_ and contain 32 random bytes', () => {
    const [{ secret }, other] = [createWebhookSecret(), createWebhookSecret()];
    expect(Buffer.from(secret.replace('whsec_', ''), 'base64')).toHaveLength(32);
    expect(other.secret).not.toBe(secret);
  });

  it('sign until their overlap ends after they are replaced', () => {
    const old = createWebhookSecret();
    const rotated = rotateSecrets([old], 1000, 500);
    expect(rotated[1]).toEqual({ ...old, expiresAt: 1500 });
    expect(activeSecrets(rotated, 1499)).toHaveLength(2);
    expect(activeSecrets(rotated, 1500)).toEqual([rotated[0]]);
    const twice = rotateSecrets(rotated, 1200, 10_000);
    expect(twice.map(({ expiresAt }) => expiresAt)).toEqual([undefined, 11_200, 1500]);
  });

  it('end at once without an overlap, and are five at most', () => {
    let secrets = [createWebhookSecret()];
    secrets = rotateSecrets(secrets, 1000, 0);
    expect(secrets).toHaveLength(1);
    for (let n = 0; n < 20; n++) secrets = rotateSecrets(secrets, 1000, 10_000);
    expect(secrets).toHaveLength(5);
  });
});

describe('a webhook endpoint', () => {
  it('is disabled with its reason', () => {
    const disabled = exampleEndpoint({ enabled: false, disabledReason: 'requested' });
    expect(disableEndpoint(exampleEndpoint(), 'requested')).toEqual(disabled);
  });

  it('has no disabledReason after it is enabled again', () => {
    const disabled = exampleEndpoint({ enabled: false, disabledReason: 'gone' });
    expect(enableEndpoint(disabled)).toEqual(exampleEndpoint());
  });
});

it('a check has an event once it has ended', () => {
  const events = (['queued', 'processing', 'succeeded', 'failed', 'canceled'] as const).map(
    eventOf,
  );
  expect(events).toEqual([
    undefined,
    undefined,
    'passive_liveness.completed',
    'passive_liveness.failed',
    'passive_liveness.canceled',
  ]);
});
