import { LivegateError } from '@livegate/core/domain';

/** Simulates an unreachable Redis while `away` is true. */
export interface Outage {
  away: boolean;
}

/** The same port, whose methods reject with `unavailable` during the outage. */
export function failInOutage<Port extends object>(port: Port, outage: Outage): Port {
  const guarded = Object.entries(port).map(([name, method]) => [
    name,
    async (...args: unknown[]) => {
      if (outage.away) throw new LivegateError('unavailable', { detail: 'the fake is away' });
      return (method as (...given: unknown[]) => unknown)(...args);
    },
  ]);
  return Object.fromEntries(guarded) as Port;
}
