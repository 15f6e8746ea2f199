import { CHECK_QUEUE, continueJobsTrace, createTraceProcess, type TracedJob } from '@livegate/core';
import { context, type Context } from '@opentelemetry/api';

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
