import { LivegateError } from '@livegate/core';
import type { Assessed } from './assess-files.js';
import { formatTable } from '../format-table.js';

/** Milliseconds per image inside this process, one image at a time. */
export function describeSpeed(rows: Assessed<object>[]): string {
  const timings = rows.flatMap(({ outcome }) =>
    outcome instanceof LivegateError ? [] : [outcome.timings],
  );
  const stages = {
    decode: timings.map((t) => t.decodeMs),
    detect: timings.map((t) => t.detectMs),
    classify: timings.map((t) => t.classifyMs),
    all: timings.map((t) => t.decodeMs + t.detectMs + t.classifyMs),
  };
  const lines = Object.entries(stages).map(([stage, ms]) => {
    const sorted = ms.toSorted((a, b) => a - b);
    const at = (share: number) => sorted[Math.floor(share * (sorted.length - 1))]!.toFixed(1);
    return [stage, at(0.5), at(0.95)];
  });
  return ['\nSpeed, ms per image', formatTable(['stage', 'p50', 'p95'], lines)].join('\n');
}
