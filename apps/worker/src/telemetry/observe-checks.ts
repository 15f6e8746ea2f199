import { type CheckOutcome, type ErrorCode, qualityCodes } from '@livegate/core/domain';
import { CHECK_QUEUE } from '@livegate/core/ports';
import {
  continueJobsTrace,
  createCount,
  createCountRetry,
  createCountStall,
  createSecondsHistogram,
  createTraceProcess,
  type TracedJob,
} from '@livegate/core/telemetry';
import { context, type Context } from '@opentelemetry/api';

export interface ObserveChecks {
  taken(job: ActiveJobFacts): void;
  retried(): void;
  stalled(): void;
  ended(outcome: CheckOutcome): void;
}

/** Facts of an active BullMQ job. Times are milliseconds since the epoch. */
export interface ActiveJobFacts {
  timestamp: number;
  processedOn?: number | undefined;
  attemptsStarted: number;
  stalledCounter: number;
}

const verdicts = ['LOW', 'MODERATE', 'HIGH'];

const faceCounts = ['no_face', 'too_many_faces'];

/** The error codes of checks that end without a verdict. */
const errors: ErrorCode[] = [
  'canceled',
  'image_dimensions_exceeded',
  'image_expired',
  'internal_error',
  'invalid_image',
];

/** Counts how this worker's checks end. Only statuses are counted, no scores. */
export function createObserveChecks(): ObserveChecks {
  const wait = createSecondsHistogram('livegate.queue.wait.duration', {
    description: 'From the moment a check was queued until a worker took it.',
  });
  const count = createCounts();

  return {
    taken({ timestamp, processedOn, attemptsStarted, stalledCounter }) {
      // Only the first attempt: a later one has also waited for a retry or a stalled worker.
      if (processedOn === undefined || attemptsStarted > 1 || stalledCounter > 0) return;
      // The clocks of two hosts may differ by more than a short wait.
      wait.record(Math.max(0, processedOn - timestamp) / 1000);
    },
    retried: createCountRetry(CHECK_QUEUE),
    stalled: createCountStall(CHECK_QUEUE),
    ended(outcome) {
      if ('error' in outcome) return count.failures({ reason: outcome.error });
      const { verdict, quality } = outcome.result;
      for (const code of quality?.codes ?? []) count.qualityCodes({ code });
      if (verdict.kind === 'scored') count.verdicts({ verdict: verdict.status });
      else count.faceCounts({ reason: verdict.kind });
    },
  };
}

function createCounts() {
  return {
    verdicts: createCount('livegate.verdicts', {
      description: 'Faces that were scored, by the class of the verdict.',
      unit: '{verdict}',
      cases: verdicts.map((verdict) => ({ verdict })),
    }),
    faceCounts: createCount('livegate.face_count.failures', {
      description: 'Images that were not scored, as they show no face or several.',
      unit: '{image}',
      cases: faceCounts.map((reason) => ({ reason })),
    }),
    qualityCodes: createCount('livegate.quality.codes', {
      description: 'Scored faces whose picture is weak, by what makes it weak.',
      unit: '{face}',
      cases: qualityCodes.map((code) => ({ code })),
    }),
    failures: createCount('livegate.check.failures', {
      description: 'Checks that ended without an answer about the image.',
      unit: '{check}',
      cases: errors.map((reason) => ({ reason })),
    }),
  };
}

/** Runs each check in the trace of the request that submitted it. */
export function createTraceJobs() {
  const traceProcess = createTraceProcess({ system: 'bullmq', destination: CHECK_QUEUE });
  const contexts = new WeakMap<TracedJob, Context>();

  return {
    process<Result>(job: TracedJob, work: () => Promise<Result>): Promise<Result> {
      return traceProcess(job, () => {
        contexts.set(job, context.active());
        return work();
      });
    },
    /** For the work after a job's end: BullMQ emits that event outside of the job's trace. */
    follow<Result>(job: TracedJob, work: () => Result): Result {
      return context.with(contexts.get(job) ?? continueJobsTrace(job), work);
    },
  };
}
