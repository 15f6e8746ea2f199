// npm run bench -- candidates: the alternatives of decision 0011 on BullMQ and Redis, with fake engines.
import { HEAD_START_MS } from '@livegate/core/domain';
import { formatTable } from '../../../format-table.js';
import { type Bench, type Figure, formatNumber, type Part } from '../../bench.js';
import { interleave, median, medianRatio } from '../../rounds.js';
import { drawArrivals, type Scenario } from './arrivals.js';
import { type Outcome, sendArrivals } from './send-arrivals.js';
import { type OpenCandidate, openFifo, openRanks, openTenantQueues, openWindow } from './queues.js';

const FIFO = 'order of arrival';
const candidates: Record<string, OpenCandidate> = {
  [FIFO]: openFifo,
  'queue per tenant': openTenantQueues({ costOf: ({ ms }) => ms, headStart: HEAD_START_MS }),
  'window per tenant': openWindow,
  'ranks (Livegate)': openRanks,
};
/** As many turns as there are small checks in the head start of the others. */
const byCount = openTenantQueues({ costOf: () => 1, headStart: 100 });

interface Comparison extends Scenario {
  /** Candidates that would be like another one in the other scenarios. */
  further?: Record<string, OpenCandidate>;
}

/** The flood is five times what all engines do: 50 times the small tenants, as in `fairness`. */
const FLOOD = 5;
const floodOf = (tenants: number, runMs = 20) => ({ tenants, load: FLOOD, runMs });
const smallOf = (tenants: number, load = 0.1) => ({ tenants, load, runMs: 20 });
const scenarios: Comparison[] = [
  { name: 'two tenants', small: smallOf(1), flood: floodOf(1) },
  { name: '50 tenants, 40 of them flood', small: smallOf(10), flood: floodOf(40) },
  {
    // Turns by count would give the small images an eleventh of the engines, those by work up to half.
    name: 'images of 10 times the work flood',
    small: smallOf(1, 0.3),
    flood: floodOf(1, 200),
    further: { 'queue per tenant, by count': byCount },
  },
  {
    name: 'two tenants, four workers',
    small: smallOf(1),
    flood: floodOf(1),
    workers: 4,
    further: { 'ranks, no job ready': (site) => openRanks({ ...site, takenPerEngine: 1 }) },
  },
];

/** The first checks of a process take several times as long. */
const WARM_UP = { seconds: 1, rounds: 1 };

/** Measures what each way to share the workers costs, and what it does for a small tenant. */
export const measureCandidates: Part = async (bench, say) => {
  await compare({ ...bench, ...WARM_UP }, scenarios[0]!);
  const figures: Figure[] = [];
  for (const scenario of scenarios) {
    const results = await compare(bench, scenario);
    say(describe(scenario, results));
    figures.push(...listFigures(scenario, results));
  }
  return figures;
};

function listFigures({ name }: Scenario, results: Results): Figure[] {
  return namesOf(results).map((candidate) => {
    const { p95: value } = summarize(results, candidate);
    return { name: `${name}, ${candidate}: p95 of the small tenant / alone`, value, unit: 'x' };
  });
}

/** By candidate, and of the small tenants alone. */
type Results = Record<string, Outcome[]>;
const ALONE = 'alone';

/** All candidates get the arrivals of the same seed in each round. */
async function compare({ env, seconds, rounds }: Bench, scenario: Comparison): Promise<Results> {
  const url = env['REDIS_URL']!;
  const measure = (open: OpenCandidate, groups: Partial<Scenario>) => {
    let seed = 0;
    return () => {
      const arrivals = drawArrivals(groups, seconds, ++seed);
      return sendArrivals(arrivals, { url, open, seconds, scenario });
    };
  };
  return interleave(rounds, {
    [ALONE]: measure(openFifo, { small: scenario.small }),
    ...Object.fromEntries(
      Object.entries({ ...candidates, ...scenario.further }).map(([name, open]) => [
        name,
        measure(open, scenario),
      ]),
    ),
  });
}

function summarize(results: Results, name: string) {
  const of = (measure: keyof Outcome, whose = name) => results[whose]!.map((one) => one[measure]);
  return {
    p50: medianRatio(of('p50'), of('p50', ALONE)),
    p95: medianRatio(of('p95'), of('p95', ALONE)),
    answered: median(of('answered')),
    work: medianRatio(of('work'), of('work', FIFO)),
    commands: median(of('commands')),
    scripts: median(of('scripts')),
    redisMs: median(of('redisMs')),
    connections: median(of('connections')),
  };
}

function describe({ name, small }: Scenario, results: Results): string {
  const alone = (measure: 'p50' | 'p95') =>
    formatNumber(median(results[ALONE]!.map((one) => one[measure])));
  const header = [
    `${name} (alone: p50 ${alone('p50')}, p95 ${alone('p95')} ms at ${small.load} C)`,
    'p50 / alone',
    'p95 / alone',
    'answered',
    'work / FIFO',
    'commands',
    'scripts',
    'Redis CPU ms',
    'connections',
  ];
  const lines = namesOf(results).map((candidate) => [
    candidate,
    ...Object.values(summarize(results, candidate)).map(formatNumber),
  ]);
  return formatTable(header, lines);
}

function namesOf(results: Results): string[] {
  return Object.keys(results).filter((name) => name !== ALONE);
}
