import { errorMessages, isFinished, type CheckRecord, type Verdict } from '@livegate/core';

/** A check as `GET /v1/jobs/{id}` and webhooks show it. Times are RFC 3339, in UTC. */
export interface JobResource {
  id: string;
  status: CheckRecord['status'];
  created_at: string;
  started_at: string | null;
  finished_at: string | null;
  /** Of a succeeded job: the body a waiting caller would have got. */
  result?: Verdict;
  /** Of a failed job. */
  error?: { error_code: string; error_message: string };
  links: { self: string; cancel?: string };
}

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
        error: { error_code: outcome.error, error_message: errorMessages[outcome.error] },
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
