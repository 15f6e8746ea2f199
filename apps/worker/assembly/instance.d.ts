/** What pixel-loops.ts exports. Numbers are addresses in the memory, unless they are named otherwise. */
export interface Loops {
  memory: ArrayBuffer;
  meanOfFour(source: number, planes: number, row: number): void;
  blend(source: number, planes: number, row: number): void;
  meanLuma(source: number, out: number): void;
  matchMirrored(gradients: number, pairs: number, count: number, cos: number, sin: number): number;
}

/** The loops with a memory of zeros. Throws a RangeError if there is no room for it. */
export function instantiate(bytes: number): Loops;
