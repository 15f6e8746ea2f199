import { LivegateError } from './errors.js';

/**
 * The order in which queued checks run: fair queueing by finish tags (Golestani, 1994). The checks of
 * one tenant and lane are a flow. Flows with checks waiting share the workers by their weights, and a
 * flow that had none waiting goes first.
 *
 * A check's time is how long all workers together need for it. Tags are on a virtual clock: a check's
 * tag is its flow's last one, or the clock, plus its time divided by the flow's weight. The lowest tag
 * runs first, and the clock follows the first tag in the queue. So the tags also say how much time of
 * each flow waits. All times are in milliseconds.
 */

/** A flow of checks with a waiting caller, or of async ones. */
export type Lane = 'awaited' | 'async';

/** An async flow gets a tenth of the workers beside an awaited one, and all of them alone. */
export const ASYNC_WEIGHT = 1 / 9;

/** The queued checks of one tenant in one lane. */
export interface Flow {
  /** The tag of its last check. */
  tag: number;
  weight: number;
}

/** The queue at one moment. */
export interface Flows {
  /** Where a flow without queued checks begins. */
  clock: number;
  /** The first tag in the queue, or the clock while it is empty. */
  head: number;
  /** Time of checks without a tag, which run first: stalled ones, and those of older gateways. */
  untaggedMs: number;
  /** By `flowName`. */
  flows: ReadonlyMap<string, Flow>;
}

export const noFlows: Flows = { clock: 0, head: 0, untaggedMs: 0, flows: new Map() };

export function flowName(tenant: string, lane: Lane): string {
  return `${lane}:${tenant}`;
}

export function laneOf(name: string): Lane {
  return name.startsWith('async:') ? 'async' : 'awaited';
}

/** The weight of a tenant's flow. */
function flowWeight(weight: number, lane: Lane): number {
  return lane === 'async' ? weight * ASYNC_WEIGHT : weight;
}

/**
 * How far the clock stays behind the first tag, so that a small check of a flow without queued ones
 * goes before the first check of the others.
 */
export const HEAD_START_MS = 500;

/** A check that is about to be queued. */
export interface RankRequest {
  tenant: string;
  isAwaited: boolean;
  /** The tenant's share of the workers, relative to other tenants. */
  weight: number;
  ms: number;
  /** The longest that it may wait for the checks before it; without it, as long as it takes. */
  maxWaitMs?: number;
}

/** The flow of a check, and its part of it. */
export function toQueuedCheck({ tenant, isAwaited, weight, ms }: RankRequest): QueuedCheck {
  const lane = isAwaited ? 'awaited' : 'async';
  return { flow: flowName(tenant, lane), weight: flowWeight(weight, lane), ms };
}

/** A check as the queue counts it. */
export interface QueuedCheck {
  /** By `flowName`. */
  flow: string;
  /** By `flowWeight`. */
  weight: number;
  ms: number;
}

/** The tag of the next check of a flow. */
export function nextTag({ clock, flows }: Flows, { flow, weight, ms }: QueuedCheck): number {
  return Math.max(clock, flows.get(flow)?.tag ?? 0) + ms / weight;
}

/** How long the next check of a flow waits for those before it, if no others come meanwhile. */
export function waitBefore(state: Flows, { flow }: Pick<QueuedCheck, 'flow'>): number {
  const last = Math.max(state.clock, state.flows.get(flow)?.tag ?? 0);
  let ms = state.untaggedMs;
  for (const { tag, weight } of state.flows.values()) {
    ms += weight * Math.max(0, Math.min(tag, last) - state.head);
  }
  return ms;
}

/**
 * `overloaded`, for a check that would wait for `waitMs`. `Retry-After` is the time until the queue is
 * down to half of the allowed wait: with less, all refused callers would come back for the same place.
 */
export function refuseWait(waitMs: number, maxWaitMs: number): LivegateError {
  return new LivegateError('overloaded', {
    detail: `it would wait ${Math.round(waitMs)} ms, the limit is ${maxWaitMs} ms`,
    retryAfterSeconds: Math.max(1, Math.ceil((waitMs - maxWaitMs / 2) / 1000)),
  });
}

/** Time of the queued checks of one flow. */
export function queuedMs({ head, flows }: Flows, name: string): number {
  const flow = flows.get(name);
  return flow ? flow.weight * Math.max(0, flow.tag - head) : 0;
}

/** Time of all queued checks, or of one lane. */
export function totalQueuedMs(state: Flows, lane?: Lane): number {
  const names = [...state.flows.keys()].filter((name) => !lane || laneOf(name) === lane);
  const untaggedMs = lane === 'async' ? 0 : state.untaggedMs;
  return names.reduce((sum, name) => sum + queuedMs(state, name), untaggedMs);
}

/** The queue with one more check. */
export function withCheck(state: Flows, check: QueuedCheck): Flows {
  const tag = nextTag(state, check);
  const flows = new Map(state.flows).set(check.flow, { tag, weight: check.weight });
  return { ...state, flows };
}

/** A check that waits outside of the queue, such as a large image for a slot in a worker. */
export interface DelayedCheck extends QueuedCheck {
  /** The tag that it keeps. */
  tag: number;
}

/**
 * The queue with checks that wait outside of it: the head may have passed their tags, but they run
 * before the next check of their flow.
 */
export function withDelayed(state: Flows, delayed: readonly DelayedCheck[]): Flows {
  const passed = delayed.map(({ flow, weight, ms, tag }) => {
    const length = ms / weight;
    return { flow, weight, passed: Math.min(length, state.head - (tag - length)) };
  });
  return withPassed(state, passed);
}

/** What the head has passed of the delayed checks of a flow: their time by the flow's weight. */
export interface PassedTime extends Pick<QueuedCheck, 'flow' | 'weight'> {
  passed: number;
}

/** `withDelayed`, when it is known how much the head has passed. */
export function withPassed(state: Flows, times: readonly PassedTime[]): Flows {
  const flows = new Map(state.flows);
  for (const { flow, weight, passed } of times) {
    const last = Math.max(state.head, flows.get(flow)?.tag ?? 0);
    if (passed > 0) flows.set(flow, { tag: last + passed, weight });
  }
  return { ...state, flows };
}

/** The flows as they were when the last check got its tag. */
export interface StoredFlows {
  clock: number;
  flows: ReadonlyMap<string, Flow>;
}

/** What has happened in the queue since then. */
export interface QueueProgress {
  /** The first tag in the queue now; absent while it is empty. */
  head?: number | undefined;
  /** How long ago that was. */
  elapsedMs: number;
  untaggedMs: number;
}

/** Sets the clock to the present, and forgets flows that have no check waiting. */
export function advanceClock(stored: StoredFlows, progress: QueueProgress): Flows {
  const { head, elapsedMs, untaggedMs } = progress;
  // In an empty queue, checks may have a tag whose images are still being stored.
  const clock =
    head === undefined ? stored.clock + elapsedMs : Math.max(stored.clock, head - HEAD_START_MS);
  const waiting = [...stored.flows].filter(([, { tag }]) => tag > clock);
  if (waiting.length === 0 && head === undefined) return { ...noFlows, untaggedMs };
  return { clock, head: Math.max(clock, head ?? 0), untaggedMs, flows: new Map(waiting) };
}
