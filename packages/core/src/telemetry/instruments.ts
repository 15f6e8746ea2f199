import { type Attributes, type Histogram, type Meter, metrics } from '@opentelemetry/api';

/** Histogram buckets in seconds, as OpenTelemetry's semantic conventions advise for HTTP. */
const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];
/** The same with smaller buckets, for work of a millisecond or two. */
const FINE_SECONDS = [0.0005, 0.001, 0.0025, ...SECONDS];
const BATCH_SIZES = [1, 2, 4, 8, 16, 32, 64];

/**
 * The meter of all instruments. Call it after `startTelemetry`: an instrument that was created
 * before the SDK started never records.
 */
export function getMeter(): Meter {
  return metrics.getMeter('livegate');
}

export interface HistogramOptions {
  description: string;
  /** Whether typical values are below 5 ms. */
  fine?: boolean;
}

export function createSecondsHistogram(name: string, options: HistogramOptions): Histogram {
  const explicitBucketBoundaries = options.fine ? FINE_SECONDS : SECONDS;
  const { description } = options;
  return getMeter().createHistogram(name, {
    description,
    unit: 's',
    advice: { explicitBucketBoundaries },
  });
}

export function createBatchSizeHistogram(name: string, description: string): Histogram {
  return getMeter().createHistogram(name, {
    description,
    unit: '{image}',
    advice: { explicitBucketBoundaries: BATCH_SIZES },
  });
}

export interface CounterOptions {
  description: string;
  /** What is counted, in braces; such a unit is not part of the Prometheus name. */
  unit: string;
  /**
   * All attribute sets. Each starts at 0, because Prometheus computes a rate only from a change.
   */
  cases: Attributes[];
}

/** Adds one, or the amount, to the counter of this attribute set. */
export type Count = (attributes?: Attributes, amount?: number) => void;

export function createCount(name: string, { cases, ...options }: CounterOptions): Count {
  const counter = getMeter().createCounter(name, options);
  for (const attributes of cases) counter.add(0, attributes);
  return (attributes, amount = 1) => counter.add(amount, attributes);
}

/** Counts stalled jobs, which BullMQ moves back to the queue. */
export function createCountStall(queue: string): () => void {
  const count = createCount('livegate.queue.stalls', {
    description: 'Stalled jobs that BullMQ moved back to the queue.',
    unit: '{job}',
    cases: [{ queue }],
  });
  return () => count({ queue });
}

/** Counts jobs that are requeued because of an unsupported version. */
export function createCountRequeue(queue: string): () => void {
  const count = createCount('livegate.queue.requeues', {
    description: 'Jobs of an unsupported version that this process requeued.',
    unit: '{job}',
    cases: [{ queue }],
  });
  return () => count({ queue });
}

/** Counts failed attempts that are retried. */
export function createCountRetry(queue: string): () => void {
  const count = createCount('livegate.queue.retries', {
    description: 'Failed attempts that are retried.',
    unit: '{attempt}',
    cases: [{ queue }],
  });
  return () => count({ queue });
}
