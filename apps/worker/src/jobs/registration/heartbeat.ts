import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkerFacts } from '@livegate/core/domain';
import { REGISTRATION_TTL_SECONDS, type WorkerRegistry } from '@livegate/core/ports';
import type { Log } from '@livegate/core/telemetry';

/** Time limit of `unregister` at the shutdown. */
const UNREGISTER_MS = 1000;

/**
 * A third of the registration's TTL, so that two renewals may fail before the worker counts as
 * dead.
 */
const INTERVAL_MS = (REGISTRATION_TTL_SECONDS * 1000) / 3;

/** Renews this worker's registration, with its present facts, until it is closed. */
export function startHeartbeat(registry: WorkerRegistry, facts: () => WorkerFacts, log: Log) {
  let expiresAt = 0;
  const register = async () => {
    const nextExpiry = performance.now() + REGISTRATION_TTL_SECONDS * 1000;
    try {
      await registry.register(facts());
      expiresAt = nextExpiry;
    } catch (error) {
      log.warn({ err: error }, 'worker registration failed');
    }
  };
  const timer = setInterval(() => void register(), INTERVAL_MS);
  const first = register();
  return {
    /** Settles when the first registration has succeeded or failed. */
    first,
    /** Registers at once, because the facts have changed. */
    register,
    /** Whether the registration is current; without one, no gateway counts this worker. */
    isRegistered: () => performance.now() < expiresAt,
    async close() {
      clearInterval(timer);
      expiresAt = 0;
      // If Redis is unreachable, the registration expires a few seconds later.
      await Promise.race([
        registry.unregister(facts().id),
        sleep(UNREGISTER_MS, null, { ref: false }),
      ]);
    },
  };
}
