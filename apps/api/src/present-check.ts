import { LivegateError, roundMs, type CheckOutcome, type CheckResult } from '@livegate/core';
import type { Response } from 'express';

/** Where the time of a request went at the gateway, in milliseconds. */
export interface GatewayTimings {
  uploadMs: number;
  /** From the queued job to its outcome. */
  waitMs: number;
  totalMs: number;
}

/** Answers with the verdict; throws the error a check ended with. */
export function presentCheck(res: Response, outcome: CheckOutcome, timings: GatewayTimings): void {
  if ('error' in outcome) throw new LivegateError(outcome.error);
  const { verdict, model } = outcome.result;
  const stages = listStages(outcome.result, timings);
  res.locals.outcome = verdict.result.status;
  res.locals.timings = stages;
  res.set('Livegate-Model', model);
  res.set('Server-Timing', Object.entries(stages).map(presentStage).join(', '));
  res.json(verdict);
}

function listStages({ timings }: CheckResult, gateway: GatewayTimings): Record<string, number> {
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
