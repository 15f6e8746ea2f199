/** What pixel-loops.ts exports. Numbers are addresses in the memory, unless they are named otherwise. */
export interface Loops {
  memory: ArrayBuffer;
  meanOfFour(source: number, planes: number, row: number): void;
  blend(source: number, planes: number, row: number): void;
  meanLuma(source: number, out: number): void;
  matchMirrored(gradients: number, pairs: number, count: number, cos: number, sin: number): number;
}

/** Instantiates the loops with zeroed memory. Throws a RangeError when it cannot be allocated. */
export function instantiate(bytes: number): Loops;
