import {
  type CheckOutcome,
  type CheckRecord,
  type CheckResult,
  enforceQuality,
  enforceQualityOf,
  errorMessages,
  isFinished,
  LivegateError,
  type Quality,
  type QualityPolicy,
  type Refusal,
  roundMs,
  type Verdict,
} from '@livegate/core/domain';
import type { Response } from 'express';
import type { z } from 'zod';
import type { jobSchema, qualitySchema, verdictSchema } from './answer-schemas.js';
import { QUALITY_HEADER } from './preference.js';

export interface CheckPresentation {
  qualityPolicy: QualityPolicy;
  /** `performance.now()` when the check was submitted, after its upload was read. */
  submittedAt: number;
}

/** Answers with the verdict, or throws the error that the check ended with. */
export function presentCheck(
  res: Response,
  stored: CheckOutcome,
  { qualityPolicy, submittedAt }: CheckPresentation,
): void {
  setQualityHeader(res, stored);
  const outcome = enforceQuality(stored, qualityPolicy);
  if ('error' in outcome) throw toError(outcome);
  const { model } = outcome.result;
  const { receivedAt } = res.locals;
  const now = performance.now();
  const stages = listStages(outcome.result, {
    uploadMs: submittedAt - receivedAt,
    waitMs: now - submittedAt,
    totalMs: now - receivedAt,
  });
  res.locals.outcome = 'verdict';
  const body = presentResult(outcome.result, qualityPolicy);
  res.locals.verdict = body.result.status;
  res.locals.timings = stages;
  res.set('Livegate-Model', model);
  res.set('Server-Timing', Object.entries(stages).map(presentStage).join(', '));
  res.json(body);
}

/** Names the codes of a weak image in the response header, under every policy. */
export function setQualityHeader(res: Response, outcome: CheckOutcome | undefined): void {
  if (!outcome || 'error' in outcome) return;
  const codes = outcome.result.quality?.codes ?? [];
  if (codes.length > 0) res.set(QUALITY_HEADER, codes.join(', '));
}

function presentResult({ verdict, quality }: CheckResult, policy: QualityPolicy) {
  return presentVerdict(verdict, policy === 'report' ? quality : undefined);
}

/**
 * The body of the GLAIR API, with `quality` in addition if it is given. HIGH is a "success" because
 * a face was scored, and an image without a score has the highest one, so that a caller who compares
 * only numbers rejects it.
 */
export function presentVerdict(
  verdict: Verdict,
  quality?: Quality,
): z.output<typeof verdictSchema> {
  if (verdict.kind === 'scored') {
    const { spoofProbability, status } = verdict;
    const result = {
      spoof_percentage: spoofProbability,
      status,
      ...(quality && { quality: presentQuality(quality) }),
    };
    return { status: 'success', result };
  }
  const reasons = {
    no_face: 'face not detected',
    too_many_faces: 'too many faces detected',
  } as const;
  return { status: 'failed', result: { spoof_percentage: 1, status: reasons[verdict.kind] } };
}

/** `result.quality` of the body, which the policy `report` adds. */
function presentQuality(quality: Quality): z.output<typeof qualitySchema> {
  const { facePixels, ...measures } = quality.measures;
  return { ...quality, measures: { ...measures, face_pixels: facePixels } };
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
export function presentJob(
  stored: CheckRecord,
  baseUrl: string,
  policy: QualityPolicy = 'header',
): JobResource {
  const record = enforceQualityOf(stored, policy);
  const { id, status, outcome } = record;
  const self = jobUrl(id, baseUrl);
  return {
    id,
    status,
    created_at: presentTime(record.createdAt),
    started_at: record.startedAt === undefined ? null : presentTime(record.startedAt),
    finished_at: record.finishedAt === undefined ? null : presentTime(record.finishedAt),
    ...(outcome && 'result' in outcome && { result: presentResult(outcome.result, policy) }),
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
