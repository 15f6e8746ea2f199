import type { Verdict } from '@livegate/core/domain';
import { createCount, getMeter } from '@livegate/core/telemetry';

/** The class of a verdict, or why there is no score. */
export type Status = (typeof statuses)[number];

/** `current` and `canary` answer checks, `shadow` judges some of them once more. */
export type Role = 'current' | 'canary' | 'shadow';

const statuses = ['LOW', 'MODERATE', 'HIGH', 'no_face', 'too_many_faces'] as const;

const swapOutcomes = ['swapped', 'unchanged', 'failed'] as const;

export function statusOfVerdict(verdict: Verdict): Status {
  return verdict.kind === 'scored' ? verdict.status : verdict.kind;
}

/** Counts what model sets answer, and how swaps end. `list` reads the sets that are in use. */
export function createObserveModelSets(list: () => { role: Role; set: { profile: string } }[]) {
  getMeter()
    .createObservableGauge('livegate.model.set', {
      description: 'Always 1: the profile of each model set that this worker uses, by its role.',
    })
    .addCallback((observe) => {
      for (const { role, set } of list()) observe.observe(1, { role, profile: set.profile });
    });
  const assessed = createCount('livegate.model.assessments', {
    description: 'Images that a model set assessed for an answer, by the status of the verdict.',
    unit: '{image}',
    cases: [
      ...statuses.flatMap((status) => [
        { role: 'current', status },
        { role: 'canary', status },
      ]),
      // The current set then assesses the image. A failure of the current set fails an attempt.
      { role: 'canary', status: 'failed' },
    ],
  });
  const ended = createCount('livegate.model.swaps', {
    description: 'Attempts to use other models, by their outcome.',
    unit: '{swap}',
    cases: swapOutcomes.map((outcome) => ({ outcome })),
  });
  return {
    assessed: (role: Role, status: Status | 'failed') => assessed({ role, status }),
    /** Counts how it ends. The promise resolves to whether the models have changed. */
    async swap(use: Promise<boolean>): Promise<void> {
      const outcome = await use.then(
        (isSwapped) => (isSwapped ? 'swapped' : 'unchanged'),
        () => 'failed',
      );
      ended({ outcome });
    },
  };
}

/** Differences of two scores: small ones apart, to show a drift before a verdict changes. */
const DIFFERENCES = [-0.5, -0.2, -0.1, -0.05, -0.02, -0.01, 0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5];

/** Counts how the shadow agrees with the answers. Scores leave only as sums of differences. */
export function createObserveShadow() {
  const compared = createCount('livegate.shadow.checks', {
    description: 'Checks that the shadow judged after their answer, by the statuses of both.',
    unit: '{check}',
    cases: statuses.flatMap((answer) =>
      statuses.map((shadow) => ({ agreement: agreementOf(answer, shadow), answer, shadow })),
    ),
  });
  const missed = createCount('livegate.shadow.misses', {
    description: 'Checks that were chosen for the shadow and not judged by it.',
    unit: '{check}',
    cases: [{ reason: 'busy' }, { reason: 'failed' }, { reason: 'large' }],
  });
  const difference = getMeter().createHistogram('livegate.shadow.score.difference', {
    description: "The shadow's score minus that of the answer, where both have one.",
    advice: { explicitBucketBoundaries: DIFFERENCES },
  });
  return {
    compared(answer: Verdict, shadow: Verdict) {
      const [ours, theirs] = [statusOfVerdict(answer), statusOfVerdict(shadow)];
      compared({ agreement: agreementOf(ours, theirs), answer: ours, shadow: theirs });
      if (answer.kind !== 'scored' || shadow.kind !== 'scored') return;
      difference.record(shadow.spoofProbability - answer.spoofProbability);
    },
    /** `busy`: images arrived faster than engines were idle. */
    missed: (reason: 'busy' | 'failed' | 'large') => missed({ reason }),
  };
}

function agreementOf(answer: Status, shadow: Status): 'same' | 'different' {
  return answer === shadow ? 'same' : 'different';
}
