import type { Attributes } from '@opentelemetry/api';
import type { Distribution, ProcessSample } from '../domain/operation/monitoring.js';

/** The metrics of a process, as its sample has them. */
export type Measurements = Pick<ProcessSample, 'values' | 'distributions'>;

/** Such as `livegate.queue.depth{state=waiting}`. */
export function nameOf(name: string, attributes: Attributes): string {
  const labels = Object.entries(attributes).map(([key, value]) => `${key}=${String(value)}`);
  return labels.length === 0 ? name : `${name}{${labels.toSorted().join(',')}}`;
}

/** Adds up distributions with the same bounds. */
export function mergeDistributions(parts: Distribution[]): Distribution {
  const byLower = new Map<number, Distribution['buckets'][number]>();
  for (const [lower, upper, count] of parts.flatMap(({ buckets }) => buckets)) {
    const key = lower ?? Number.NEGATIVE_INFINITY;
    byLower.set(key, [lower, upper, count + (byLower.get(key)?.[2] ?? 0)]);
  }
  const buckets = [...byLower].toSorted(([a], [b]) => a - b).map(([, bucket]) => bucket);
  return { sum: parts.reduce((total, { sum }) => total + sum, 0), buckets };
}
