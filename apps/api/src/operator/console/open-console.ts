import type { Leases } from '@livegate/core/domain';
import type { Monitoring, WorkerRegistry } from '@livegate/core/ports';
import {
  createNoteFailure,
  getMeter,
  type Log,
  startPublishing,
  type Telemetry,
} from '@livegate/core/telemetry';
import type { Request } from 'express';
import type { StateReader } from '../../telemetry/observe-gateway.js';
import { createObserveTenants } from '../../telemetry/observe-tenants.js';
import { createConsoleRoutes } from './console-routes.js';
import { createSnapshotReader, type SnapshotReader } from './read-snapshot.js';
import { createSnapshotStreams } from './stream-snapshots.js';

export interface ConsoleDeps {
  gatewayId: string;
  monitoring: Monitoring;
  registry: Pick<WorkerRegistry, 'list'>;
  stateReaders: StateReader[];
  leases: Leases;
  /** Reads the metrics of this process. */
  measure: NonNullable<Telemetry['measure']>;
  isAllowed(req: Request): boolean;
  log: Log;
}

/** The operators' console of one gateway, and what this gateway tells the consoles of all. */
export function openConsole(deps: ConsoleDeps) {
  const { gatewayId, monitoring, leases, measure, isAllowed, log } = deps;
  const tenants = createObserveTenants(createNoteFailure(monitoring, log));
  const reader = createSnapshotReader({ ...deps, gateway: gatewayId, now: Date.now });
  const streams = createSnapshotStreams({ reader, leases, isAllowed, log });
  observeScoreShift(reader);
  const describe = () => ({
    process: gatewayId,
    kind: 'gateway' as const,
    tenants: tenants.counts(),
  });
  const publishing = startPublishing({ monitoring, describe, measure, log });
  return {
    router: createConsoleRoutes({ reader, openStream: streams.open }),
    observeTenants: tenants.observe,
    /** Call it when the gateway begins to stop: the server waits for the end of all requests. */
    endStreams: streams.close,
    close: publishing.close,
  };
}

/** All gateways report the same value. */
function observeScoreShift({ readScoreShift }: Pick<SnapshotReader, 'readScoreShift'>): void {
  getMeter()
    .createObservableGauge('livegate.score.shift', {
      description:
        'Population stability index of the scores of the last hour against those of the last week; 0 ' +
        'with too few checks.',
    })
    .addCallback(async (observe) => {
      const shift = await readScoreShift().catch(() => undefined);
      if (shift) observe.observe(shift.index ?? 0);
    });
}
