// The same arrivals for every candidate: drawn once from a seed, and sent whatever the queue does.
import { type CheckJob, JOB_VERSION } from '@livegate/core/domain';
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';

/** Fake engines: enough of 20 ms that two cores have time left. */
export const ENGINES = 4;

/** Tenants that send alike. */
export interface Group {
  tenants: number;
  /** What they offer together, as a share of what all engines do. */
  load: number;
  /** How long a check keeps an engine busy, on average. */
  runMs: number;
}

export interface Scenario {
  name: string;
  /** Processes that share the engines; one unless it says so. */
  workers?: number;
  small: Group;
  flood: Group;
}

export interface Arrival {
  id: string;
  atMs: number;
  isSmall: boolean;
  job: CheckJob & { ms: number };
  runMs: number;
}

/** Each check takes 25 % more or less than others of its kind, so that engines do not run in step. */
const SPREAD = 0.5;

/** Independent callers: exponential times between two arrivals. */
export function drawArrivals(groups: Partial<Scenario>, seconds: number, seed: number): Arrival[] {
  const generator = xoroshiro128plus(seed);
  const random = () => uniformFloat64(generator);
  const draw = (name: 'small' | 'flood'): Arrival[] => {
    const group = groups[name];
    if (!group) return [];
    const { tenants, load, runMs } = group;
    const gapMs = runMs / ENGINES / load;
    const arrivals: Arrival[] = [];
    const next = (last: number) => last - gapMs * Math.log(1 - random());
    for (let atMs = next(0); atMs < 1000 * seconds; atMs = next(atMs)) {
      const tenant = `${name}${Math.floor(tenants * random())}`;
      arrivals.push({
        id: `${name}-${arrivals.length}`,
        atMs,
        isSmall: name === 'small',
        job: describeJob(tenant, runMs),
        runMs: runMs * (1 + SPREAD * (random() - 0.5)),
      });
    }
    return arrivals;
  };
  return [...draw('small'), ...draw('flood')].toSorted((a, b) => a.atMs - b.atMs);
}

/** The job knows what a check of its kind takes, and not what this one will take. */
function describeJob(tenant: string, runMs: number): Arrival['job'] {
  const ms = runMs / ENGINES;
  return { version: JOB_VERSION, tenant, replyTo: 'bench', imageBytes: 50_000, work: runMs, ms };
}
