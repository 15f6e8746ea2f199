import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkerFacts } from '@livegate/core/domain';
import { HEARTBEAT_LIFE_SECONDS, type WorkerRegistry } from '@livegate/core/ports';
import type { Log } from '@livegate/core/telemetry';

const WITHDRAW_MS = 1000;

/** Two registrations may be lost before a worker is taken for dead. */
const INTERVAL_MS = (HEARTBEAT_LIFE_SECONDS * 1000) / 3;

/** Tells the gateways that this worker lives, until closed. */
export function startHeartbeat(registry: WorkerRegistry, facts: WorkerFacts, log: Log) {
  let lapsesAt = 0;
  const beat = async () => {
    const next = performance.now() + HEARTBEAT_LIFE_SECONDS * 1000;
    try {
      await registry.register(facts);
      lapsesAt = next;
    } catch (error) {
      log.warn({ err: error }, 'heartbeat failed');
    }
  };
  const timer = setInterval(() => void beat(), INTERVAL_MS);
  const first = beat();
  return {
    /** Settles when the first registration has reached Redis, or failed. */
    first,
    /** Whether Redis has been reached lately: if not, no gateway counts on this worker. */
    isHeard: () => performance.now() < lapsesAt,
    async close() {
      clearInterval(timer);
      lapsesAt = 0;
      // While Redis is away the registration just expires, a little later.
      await Promise.race([registry.unregister(facts.id), sleep(WITHDRAW_MS, null, { ref: false })]);
    },
  };
}
