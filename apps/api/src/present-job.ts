import { errorMessages, isFinished, type CheckRecord } from '@livegate/core';
import type { z } from 'zod';
import type { jobSchema } from './openapi/answer-schemas.js';

/** A check as `GET /v1/jobs/{id}` and webhooks show it. Times are RFC 3339, in UTC. */
export type JobResource = z.output<typeof jobSchema>;

/** `baseUrl` is where callers reach this service. */
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
