import type { ChaosProduct } from '../product/chaos-product.js';

/** One section of the page of faults. */
export interface Fault {
  name: string;
  /** What holds although the fault happens, besides what always holds. */
  promise: string;
  /** Starts the fault; the returned function ends it. */
  inject(product: ChaosProduct): Promise<() => Promise<unknown>>;
  /** How long the fault lasts. */
  holdMs: number;
  excuses?: Excuses | undefined;
  /** Part of the two-minute version. */
  isQuick?: true;
}

/** Broken promises that a fault excuses; by default none. */
export interface Excuses {
  /** A request in flight ends without an answer, or too late: the fault hits its own connection. */
  losesCallers?: true;
  /** A check that was accepted so shortly before the fault is forgotten. */
  forgetsMs?: number;
  /** A killed process leaves keys that expire. */
  leavesExpiring?: true;
}

export const nothing = async () => undefined;
