import {
  type CheckOutcome,
  type CheckRecord,
  type CheckResult,
  errorMessages,
  isFinished,
  LivegateError,
  type Refusal,
  roundMs,
} from '@livegate/core/domain';
import type { Response } from 'express';
import type { z } from 'zod';
import type { jobSchema } from './answer-schemas.js';

/**
 * Answers with the verdict, or throws the error that the check ended with. `submittedAt` is the
 * `performance.now()` at which the check was submitted, after its upload was read.
 */
export function presentCheck(res: Response, outcome: CheckOutcome, submittedAt: number): void {
  if ('error' in outcome) throw toError(outcome);
  const { verdict, model } = outcome.result;
  const { receivedAt } = res.locals;
  const now = performance.now();
  const stages = listStages(outcome.result, {
    uploadMs: submittedAt - receivedAt,
    waitMs: now - submittedAt,
    totalMs: now - receivedAt,
  });
  res.locals.outcome = 'verdict';
  res.locals.verdict = verdict.result.status;
  res.locals.timings = stages;
  res.set('Livegate-Model', model);
  res.set('Server-Timing', Object.entries(stages).map(presentStage).join(', '));
  res.json(verdict);
}

function toError({ error, message }: Refusal): LivegateError {
  return new LivegateError(error, message === undefined ? {} : { publicMessage: message });
}

/** The duration of each stage; `waitMs` is the time from submission to outcome. */
function listStages(
  { timings }: CheckResult,
  gateway: { uploadMs: number; waitMs: number; totalMs: number },
): Record<string, number> {
  const stages = {
    upload: gateway.uploadMs,
    // The difference of two durations, each measured by one host: the hosts' clocks may differ.
    queue: Math.max(0, gateway.waitMs - timings.workerMs),
    decode: timings.decodeMs,
    detect: timings.detectMs,
    classify: timings.classifyMs,
    total: gateway.totalMs,
  };
  return Object.fromEntries(Object.entries(stages).map(([stage, ms]) => [stage, roundMs(ms)]));
}

function presentStage([stage, ms]: [string, number]): string {
  return `${stage};dur=${ms}`;
}

/** A check as `GET /v1/jobs/{id}` and webhooks show it. Times are RFC 3339, in UTC. */
export type JobResource = z.output<typeof jobSchema>;

/** `baseUrl` is the URL at which callers reach this service. */
export function presentJob(record: CheckRecord, baseUrl: string): JobResource {
  const { id, status, outcome } = record;
  const self = jobUrl(id, baseUrl);
  return {
    id,
    status,
    created_at: presentTime(record.createdAt),
    started_at: record.startedAt === undefined ? null : presentTime(record.startedAt),
    finished_at: record.finishedAt === undefined ? null : presentTime(record.finishedAt),
    ...(outcome && 'result' in outcome && { result: outcome.result.verdict }),
    ...(outcome &&
      'error' in outcome && {
        error: {
          error_code: outcome.error,
          error_message: outcome.message ?? errorMessages[outcome.error],
        },
      }),
    links: { self, ...(!isFinished(status) && { cancel: `${self}/cancel` }) },
  };
}

export function jobUrl(id: string, baseUrl: string): string {
  return `${baseUrl}/v1/jobs/${id}`;
}

function presentTime(ms: number): string {
  return new Date(ms).toISOString();
}
