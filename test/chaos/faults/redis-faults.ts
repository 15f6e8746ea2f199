import type { SingleRedis } from '../product/chaos-redis.js';
import { type Fault, nothing } from './fault.js';

/** A key whose removal failed while Redis was unreachable expires. */
const outage = { leavesExpiring: true } as const;

/** Needs the right to mount a small disk. */
export const FULL_DISK = 'Full disk of Redis';

/** Faults of a single Redis with an append-only file. */
export function listRedisFaults(get: () => SingleRedis): Fault[] {
  const config = (name: string, value: string) => get().client.config('SET', name, value);

  return [
    {
      name: 'SIGKILL of Redis, then a start with its append-only file',
      promise: 'Callers get 503 meanwhile; every accepted check is still there.',
      holdMs: 1000,
      excuses: outage,
      isQuick: true,
      async inject() {
        const { server } = get();
        await server.stop('SIGKILL');
        return server.start;
      },
    },
    {
      name: 'Restart of Redis with its append-only file',
      promise: 'Callers get 503 meanwhile; every accepted check is still there.',
      holdMs: 1000,
      excuses: outage,
      async inject() {
        const { server } = get();
        await server.stop();
        return server.start;
      },
    },
    {
      name: 'Freeze of Redis (SIGSTOP)',
      promise: 'Callers get 503, no request hangs.',
      holdMs: 3000,
      excuses: outage,
      isQuick: true,
      async inject() {
        get().server.freeze();
        return async () => get().server.thaw();
      },
    },
    {
      name: 'Full memory of Redis (maxmemory)',
      promise: 'Callers get 503; accepted checks end once there is room.',
      holdMs: 2000,
      excuses: outage,
      async inject() {
        await config('maxmemory', '1mb');
        return () => config('maxmemory', '0');
      },
    },
    {
      name: FULL_DISK,
      promise: 'Redis refuses writes (MISCONF), so callers get 503; accepted checks stay.',
      holdMs: 3000,
      excuses: outage,
      async inject() {
        const { disk } = get();
        await disk?.fill();
        return () => disk?.empty() ?? nothing();
      },
    },
    {
      name: 'READONLY: the leader has become a replica',
      promise: 'Callers get 503; accepted checks end once there is a leader.',
      holdMs: 2000,
      excuses: outage,
      async inject() {
        await config('replica-serve-stale-data', 'yes');
        // Nothing listens there, so the data stay.
        await get().client.replicaof('127.0.0.1', 1);
        return () => get().client.replicaof('NO', 'ONE');
      },
    },
    {
      name: 'SCRIPT FLUSH',
      promise: 'Every request gets its usual answer.',
      holdMs: 500,
      isQuick: true,
      async inject() {
        await get().client.script('FLUSH');
        return nothing;
      },
    },
  ];
}

/** A replica takes over from a killed leader. */
export function describeFailover(name: string, killLeader: () => Promise<unknown>): Fault {
  return {
    name,
    promise:
      'A replica takes over. Replication is asynchronous: a check that was accepted in the second ' +
      'before can be forgotten.',
    holdMs: 2000,
    excuses: { forgetsMs: 1000, leavesExpiring: true },
    async inject() {
      await killLeader();
      return nothing;
    },
  };
}
