import * as fc from 'fast-check';
import type { PlannedFault } from './network.js';
import { REFUSED_IMAGE } from './worker.js';

/** `acme` has a webhook endpoint, `bank` has none. */
export const tenants = ['acme', 'bank'] as const;

/** What one caller does. */
export interface PlannedCaller {
  startMs: number;
  tenant: (typeof tenants)[number];
  image: number;
  key: string | undefined;
  gateway: number;
  /** 0 for an async check. */
  waitMs: number;
  /** What the caller does with an accepted check, or while waiting. */
  next: 'nothing' | 'poll' | 'cancel' | 'delete' | 'hang up' | 'repeat';
  nextMs: number;
}

/** What happens to one attempt to deliver a message: the receiver refuses it, or its answer is lost. */
export type SendFault = 'refused' | 'unanswered';

/** Everything that is random about a history, except the order of calls. */
export interface Plan {
  callers: PlannedCaller[];
  faults: PlannedFault[];
  /** By the number of the attempt. */
  sends: Record<number, SendFault>;
}

/** Most callers with the same key send the same image. */
const imageOf = (key: string | undefined, image: number, isOther: boolean) =>
  key === undefined || isOther ? image : key === 'k1' ? 10 : 20;

const caller: fc.Arbitrary<PlannedCaller> = fc
  .record({
    startMs: fc.constantFrom(0, 0, 0, 20, 45, 500, 3200),
    tenant: fc.constantFrom(...tenants),
    image: fc.constantFrom(10, 20, 30, 40, 90, REFUSED_IMAGE),
    key: fc.constantFrom(undefined, undefined, 'k1', 'k1', 'k2'),
    gateway: fc.nat(1),
    waitMs: fc.constantFrom(0, 0, 1000, 8000, 25_000),
    next: fc.constantFrom(
      'nothing',
      'poll',
      'cancel',
      'cancel',
      'delete',
      'delete',
      'hang up',
      'repeat',
    ),
    nextMs: fc.constantFrom(0, 0, 0, 10, 40, 45, 90),
    isOther: fc.constantFrom(false, false, false, true),
  })
  .map(({ isOther, ...planned }) => ({
    ...planned,
    image: imageOf(planned.key, planned.image, isOther),
  }));

const fault: fc.Arbitrary<PlannedFault> = fc.record({
  nth: fc.nat(160),
  fault: fc.constantFrom('refused', 'unanswered', 'slow', 'slow', 'dies before', 'dies after'),
  ms: fc.constantFrom(100, 700, 3500, 12_000),
});

export const plans: fc.Arbitrary<Plan> = fc.record({
  callers: fc.array(caller, { minLength: 1, maxLength: 8, size: 'max' }),
  faults: fc.array(fault, { maxLength: 3, size: 'max' }),
  sends: fc.dictionary(fc.nat(5).map(String), fc.constantFrom<SendFault>('refused', 'unanswered'), {
    maxKeys: 1,
  }) as fc.Arbitrary<Plan['sends']>,
});
