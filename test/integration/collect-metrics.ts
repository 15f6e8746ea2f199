import { type Attributes, metrics as api } from '@opentelemetry/api';
import { metrics } from '@opentelemetry/sdk-node';

class Reader extends metrics.MetricReader {
  protected override async onForceFlush(): Promise<void> {}
  protected override async onShutdown(): Promise<void> {}
}

/** Collects the metrics of this process. Call it before any instrument is created. */
export function collectMetrics() {
  const reader = new Reader();
  api.setGlobalMeterProvider(new metrics.MeterProvider({ readers: [reader] }));

  async function readPoints(name: string) {
    const { resourceMetrics } = await reader.collect();
    const all = resourceMetrics.scopeMetrics.flatMap((scope) => scope.metrics);
    return all.find(({ descriptor }) => descriptor.name === name)?.dataPoints ?? [];
  }

  return {
    /** Sums the counter over all attribute sets that have these attributes. */
    async readSum(name: string, attributes: Attributes): Promise<number> {
      const wanted = Object.entries(attributes);
      return (await readPoints(name))
        .filter((point) => wanted.every(([key, value]) => point.attributes[key] === value))
        .reduce((sum, { value }) => sum + (typeof value === 'number' ? value : 0), 0);
    },
    /** The counts of a histogram's buckets, from low to high. */
    async readBuckets(name: string): Promise<{ boundaries: number[]; counts: number[] }> {
      const [point] = await readPoints(name);
      const value = point?.value as metrics.Histogram | undefined;
      return value?.buckets ?? { boundaries: [], counts: [] };
    },
  };
}
