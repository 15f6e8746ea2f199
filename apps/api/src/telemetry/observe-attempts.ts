import type { Delivery, DeliveryAttempt, DeliveryFailure } from '@livegate/core/domain';
import { WEBHOOK_QUEUE } from '@livegate/core/ports';
import {
  createCount,
  createCountRetry,
  createSecondsHistogram,
  getTracer,
  markFailed,
  runInSpan,
} from '@livegate/core/telemetry';
import { type Span, SpanKind } from '@opentelemetry/api';

/** The class of the status code, or no answer. */
const outcomes = ['2xx', '3xx', '4xx', '5xx', 'no_answer'];

const reasons: DeliveryFailure[] = [
  'attempts_exhausted',
  'endpoint_deleted',
  'endpoint_disabled',
  'endpoint_gone',
  'secret_missing',
  'too_many_pending',
];

export interface ObserveAttempts {
  /** Runs `send` in a span, which does not contain the URL: that is the tenant's. */
  around(delivery: Delivery, send: () => Promise<DeliveryAttempt>): Promise<DeliveryAttempt>;
  /** After the attempt is recorded; `recorded` is the updated delivery. */
  concluded(attempt: DeliveryAttempt, recorded: Delivery | undefined): void;
  /** For a delivery that fails without an attempt. */
  givenUp(reason: DeliveryFailure): void;
}

export function createObserveAttempts(): ObserveAttempts {
  const attempts = createCount('livegate.webhook.attempts', {
    description: 'Attempts to deliver a message, by the status code of the answer.',
    unit: '{attempt}',
    cases: outcomes.map((outcome) => ({ outcome })),
  });
  const failures = createCount('livegate.webhook.failures', {
    description: 'Messages given up: no further attempt follows.',
    unit: '{message}',
    cases: reasons.map((reason) => ({ reason })),
  });
  const countRetry = createCountRetry(WEBHOOK_QUEUE);
  const duration = createSecondsHistogram('livegate.webhook.attempt.duration', {
    description: 'Time from the DNS lookup to the end of the answer.',
  });

  return {
    around(delivery, send) {
      const span = startSpan(delivery);
      return runInSpan(span, async () => describeAnswer(span, await send()));
    },
    concluded(attempt, recorded) {
      attempts({ outcome: outcomeOf(attempt) });
      duration.record(attempt.latencyMs / 1000);
      if (recorded?.failure) failures({ reason: recorded.failure });
      if (recorded?.nextAttemptAt !== undefined) countRetry();
    },
    givenUp: (reason) => failures({ reason }),
  };
}

function startSpan({ id, type, failures }: Delivery): Span {
  const attributes = {
    'http.request.method': 'POST',
    'http.request.resend_count': failures,
    'livegate.webhook.id': id,
    'livegate.webhook.type': type,
  };
  return getTracer().startSpan('POST', { kind: SpanKind.CLIENT, attributes });
}

function describeAnswer(span: Span, attempt: DeliveryAttempt): DeliveryAttempt {
  const { statusCode } = attempt;
  if (statusCode !== undefined) span.setAttribute('http.response.status_code', statusCode);
  if (statusCode === undefined || statusCode >= 300) markFailed(span, outcomeOf(attempt));
  return attempt;
}

export function outcomeOf({ statusCode }: Pick<DeliveryAttempt, 'statusCode'>): string {
  const outcome = `${Math.floor((statusCode ?? 0) / 100)}xx`;
  return outcomes.includes(outcome) ? outcome : 'no_answer';
}
