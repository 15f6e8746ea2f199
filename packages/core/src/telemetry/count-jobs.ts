import { createCount } from './instruments.js';

/** Counts what is taken over from a process that is gone. */
export function createCountStall(queue: string): () => void {
  const count = createCount('livegate.queue.stalls', {
    description: 'Jobs whose process was gone, put back for another.',
    unit: '{job}',
    cases: [{ queue }],
  });
  return () => count({ queue });
}

/** Counts what a worker that cannot read it has put back for another. */
export function createCountReturn(queue: string): () => void {
  const count = createCount('livegate.queue.returns', {
    description: 'Jobs of a version that this process does not read, put back for another.',
    unit: '{job}',
    cases: [{ queue }],
  });
  return () => count({ queue });
}

/** Counts attempts that failed and are followed by another. */
export function createCountRetry(queue: string): () => void {
  const count = createCount('livegate.queue.retries', {
    description: 'Attempts that failed and are followed by another.',
    unit: '{attempt}',
    cases: [{ queue }],
  });
  return () => count({ queue });
}
