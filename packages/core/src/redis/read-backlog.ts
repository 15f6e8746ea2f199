import type { Queue } from 'bullmq';

/** Of jobs that have not ended; `delayed` ones wait for a next attempt, `active` ones are in work. */
export const backlogStates = ['waiting', 'prioritized', 'active', 'delayed'] as const;

export interface BacklogPart {
  state: (typeof backlogStates)[number];
  depth: number;
  /** Since the one at the head of the state was first queued; 0 where there is none. */
  oldestAgeMs: number;
}

/** Resolves with one part for each state. */
export type ReadBacklog = () => Promise<BacklogPart[]>;

export function createReadBacklog(queue: Queue): ReadBacklog {
  return async () => {
    const depths = await queue.getJobCounts(...backlogStates);
    return Promise.all(
      backlogStates.map(async (state) => {
        const depth = depths[state] ?? 0;
        const [oldest] = depth > 0 ? await queue.getJobs([state], 0, 0, true) : [];
        // It may have moved on between the two commands.
        const oldestAgeMs = oldest ? Math.max(0, Date.now() - oldest.timestamp) : 0;
        return { state, depth, oldestAgeMs };
      }),
    );
  };
}
