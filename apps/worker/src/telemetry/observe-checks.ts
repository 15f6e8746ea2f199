import type { CheckOutcome, ErrorCode, FaceCountStatus } from '@livegate/core/domain';
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
  /** Times of the job are milliseconds since the epoch. */
  taken(job: TakenJob): void;
  retried(): void;
  stalled(): void;
  ended(outcome: CheckOutcome): void;
}

/** What BullMQ knows of a job that a worker has taken. */
export interface TakenJob {
  timestamp: number;
  processedOn?: number | undefined;
  attemptsStarted: number;
  stalledCounter: number;
}

const verdicts = ['LOW', 'MODERATE', 'HIGH'];

const faceCounts: Record<FaceCountStatus, string> = {
  'face not detected': 'no_face',
  'too many faces detected': 'too_many_faces',
};

/** Every way a check can end without a verdict. */
const errors: ErrorCode[] = [
  'canceled',
  'image_dimensions_exceeded',
  'image_expired',
  'internal_error',
  'invalid_image',
];

/** What becomes of the checks that this worker takes. No score is in it: only classes are counted. */
export function createObserveChecks(): ObserveChecks {
  const wait = createSecondsHistogram('livegate.queue.wait.duration', {
    description: 'From the moment a check was queued until a worker took it.',
  });
  const count = createCounts();

  return {
    taken({ timestamp, processedOn, attemptsStarted, stalledCounter }) {
      // A later attempt, or that of another worker, has waited for something else than its turn.
      if (processedOn === undefined || attemptsStarted > 1 || stalledCounter > 0) return;
      // Two hosts' clocks may disagree by more than a short wait.
      wait.record(Math.max(0, processedOn - timestamp) / 1000);
    },
    retried: createCountRetry(CHECK_QUEUE),
    stalled: createCountStall(CHECK_QUEUE),
    ended(outcome) {
      if ('error' in outcome) return count.failures({ reason: outcome.error });
      const { status } = outcome.result.verdict.result;
      if (status in faceCounts) count.faceCounts({ reason: faceCounts[status as FaceCountStatus] });
      else count.verdicts({ verdict: status });
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
      cases: Object.values(faceCounts).map((reason) => ({ reason })),
    }),
    failures: createCount('livegate.check.failures', {
      description: 'Checks that ended without an answer about the image.',
      unit: '{check}',
      cases: errors.map((reason) => ({ reason })),
    }),
  };
}

/** The checks that a worker takes, each in the trace of the request that sent it. */
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
    /** For what follows the end of a job: BullMQ tells of it from outside of any trace. */
    follow<Result>(job: TracedJob, work: () => Result): Result {
      return context.with(contexts.get(job) ?? continueJobsTrace(job), work);
    },
  };
}
