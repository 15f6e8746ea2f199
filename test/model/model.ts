import type { CheckOutcome } from '@livegate/core/domain';

/** How a caller is told that a check ended: by its score in hundredths, or by an error code. */
export type Told = number | string;

/** What must be true of one check. */
export interface ModelCheck {
  id: string;
  /** Its only byte, which is also the score of its verdict in hundredths. */
  image: number;
  key: string | undefined;
  job: 'queued' | 'running' | 'ended';
  /** Of the ended job. */
  told?: Told;
  isCanceled: boolean;
  /** Deleted, or past its retention. */
  isGone: boolean;
  isDeleted: boolean;
  imageExpired: boolean;
  faults: number;
  deaths: number;
  /** A worker died of it while it ran alone, or may have. */
  ranAlone: boolean;
  /** A worker ended it and died before it told anybody and deleted the image. */
  isUnfinished: boolean;
}

/** A caller who waits for a check, or polls for it. */
export interface ModelCaller {
  id: string;
  polls: boolean;
  /** Of the model's clock. */
  waitsUntilMs: number;
  /** `undefined` once answered and looked at. */
  answer: { value?: unknown; error?: unknown } | undefined;
  isDone: boolean;
}

export interface Model {
  nowMs: number;
  checks: Map<string, ModelCheck>;
  /** Which check each key stands for. */
  keys: Map<string, string>;
  callers: ModelCaller[];
}

export function createModel(): Model {
  return { nowMs: 0, checks: new Map(), keys: new Map(), callers: [] };
}

/** What a check may do, whole: everything is held against this. */
export function statusOf(check: ModelCheck): string | undefined {
  if (check.isGone) return undefined;
  if (check.job === 'running') return 'processing';
  if (check.isCanceled) return 'canceled';
  if (check.job === 'queued') return 'queued';
  return typeof check.told === 'number' ? 'succeeded' : 'failed';
}

/** What a check's outcome is to be; `undefined` as long as it has none. */
export function toldOf(check: ModelCheck): Told | undefined {
  const status = statusOf(check);
  if (status === 'canceled') return 'canceled';
  return status === 'succeeded' || status === 'failed' ? check.told : undefined;
}

/** A key stands for one check, as long as that goes on or has a verdict. */
export function holderOf(model: Model, key: string): ModelCheck | undefined {
  const held = model.checks.get(model.keys.get(key) ?? '');
  return held && !held.isGone && typeof toldOf(held) !== 'string' ? held : undefined;
}

export function toTold(outcome: CheckOutcome): Told {
  if ('error' in outcome) return outcome.error;
  return Math.round(100 * outcome.result.verdict.result.spoof_percentage);
}
