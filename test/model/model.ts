import type { CheckOutcome } from '@livegate/core/domain';

/** The outcome of a check: its score in hundredths, or its error code. */
export type ModelOutcome = number | string;

/** The expected state of one check. */
export interface ModelCheck {
  id: string;
  /** The image's only byte, which is also the score of its verdict in hundredths. */
  image: number;
  key: string | undefined;
  job: 'queued' | 'running' | 'ended';
  /** Set when the job has ended. */
  outcome?: ModelOutcome;
  isCanceled: boolean;
  /** Deleted or expired, so that `read` does not find it. */
  isUnknown: boolean;
  isDeleted: boolean;
  imageExpired: boolean;
  faults: number;
  deaths: number;
  /** Whether it has run alone after a worker died with it. */
  ranAlone: boolean;
  /** Whether its worker died after the end, before the reply and the deletion of the image. */
  lacksCleanup: boolean;
}

/** A caller that waits for a check or polls it. */
export interface ModelCaller {
  id: string;
  polls: boolean;
  /** By the model's clock. */
  waitsUntilMs: number;
  /** `undefined` until the call has settled. */
  answer: { value?: unknown; error?: unknown } | undefined;
  isDone: boolean;
}

export interface Model {
  nowMs: number;
  checks: Map<string, ModelCheck>;
  /** The check that each key maps to. */
  keys: Map<string, string>;
  callers: ModelCaller[];
}

export function createModel(): Model {
  return { nowMs: 0, checks: new Map(), keys: new Map(), callers: [] };
}

/** The status that a check must have: `undefined` for an unknown one. */
export function statusOf(check: ModelCheck): string | undefined {
  if (check.isUnknown) return undefined;
  if (check.job === 'running') return 'processing';
  if (check.isCanceled) return 'canceled';
  if (check.job === 'queued') return 'queued';
  return typeof check.outcome === 'number' ? 'succeeded' : 'failed';
}

/** The outcome that a check must have; `undefined` before its end. */
export function outcomeOf(check: ModelCheck): ModelOutcome | undefined {
  const status = statusOf(check);
  if (status === 'canceled') return 'canceled';
  return status === 'succeeded' || status === 'failed' ? check.outcome : undefined;
}

/** The check that a key maps to: one that is unfinished or has a verdict. */
export function checkOfKey(model: Model, key: string): ModelCheck | undefined {
  const held = model.checks.get(model.keys.get(key) ?? '');
  return held && !held.isUnknown && typeof outcomeOf(held) !== 'string' ? held : undefined;
}

export function toModelOutcome(outcome: CheckOutcome): ModelOutcome {
  if ('error' in outcome) return outcome.error;
  const { verdict } = outcome.result;
  return verdict.kind === 'scored' ? Math.round(100 * verdict.spoofProbability) : verdict.kind;
}

/** The checks that a caller can still find. */
export function known(model: Model): ModelCheck[] {
  return [...model.checks.values()].filter(({ isUnknown }) => !isUnknown);
}

export function running(model: Model): ModelCheck[] {
  return [...model.checks.values()].filter(({ job }) => job === 'running');
}

export function choose<Item>(items: Item[], index: number): Item {
  return items[index % items.length]!;
}
