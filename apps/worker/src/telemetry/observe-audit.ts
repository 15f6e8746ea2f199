import { createCount, createSecondsHistogram, getMeter } from '@livegate/core/telemetry';

export interface ObserveAudit {
  /** Counts and measures one write of records. */
  around<Result>(records: number, write: () => Promise<Result>): Promise<Result>;
  /** A record could not be written. */
  failed(): void;
}

export function createObserveAudit(): ObserveAudit {
  const written = getMeter().createCounter('livegate.audit.records', {
    description: 'Audit records that were written.',
    unit: '{record}',
  });
  written.add(0);
  const duration = createSecondsHistogram('livegate.audit.write.duration', {
    description: 'Time of one write of audit records, until they are safe.',
    fine: true,
  });
  const failed = createCount('livegate.audit.failures', {
    description: 'Audit records that could not be written.',
    unit: '{record}',
    cases: [{}],
  });

  return {
    async around(records, write) {
      const startedAt = performance.now();
      const result = await write();
      duration.record((performance.now() - startedAt) / 1000);
      written.add(records);
      return result;
    },
    failed: () => failed(),
  };
}
