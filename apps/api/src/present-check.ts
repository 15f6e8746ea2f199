import {
  LivegateError,
  roundMs,
  type CheckOutcome,
  type CheckResult,
  type Refusal,
} from '@livegate/core';
import type { Response } from 'express';

/**
 * Answers with the verdict; throws the error a check ended with. `submittedAt` is the
 * `performance.now()` at which the upload had been read and its check was submitted.
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

/** Where the time went; `waitMs` is from the submission to the outcome. */
function listStages(
  { timings }: CheckResult,
  gateway: { uploadMs: number; waitMs: number; totalMs: number },
): Record<string, number> {
  const stages = {
    upload: gateway.uploadMs,
    // A difference of two durations, each by one clock: hosts need not agree on the time of day.
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
