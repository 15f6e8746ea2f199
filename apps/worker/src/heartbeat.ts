import type { Log, WorkerFacts, WorkerRegistry } from '@livegate/core';

/** Workers announce themselves this often; the gateways miss them after `HEARTBEAT_LIFE_SECONDS`. */
const INTERVAL_MS = 2000;
export const HEARTBEAT_LIFE_SECONDS = 6;

/** Tells the gateways that this worker lives, until closed. */
export async function startHeartbeat(registry: WorkerRegistry, facts: WorkerFacts, log: Log) {
  const beat = () =>
    registry
      .announce(facts)
      .catch((error: unknown) => log.warn({ err: error }, 'heartbeat failed'));
  const timer = setInterval(() => void beat(), INTERVAL_MS);
  await beat();
  return {
    async close() {
      clearInterval(timer);
      await registry.withdraw(facts.id);
    },
  };
}
