import {
  scoreBounds,
  scoreKey,
  type Tally,
  tallyPeriods,
  tallyStatuses,
} from '@livegate/core/domain';
import type { MixHour, MixShift, MixSide, ScoreShift } from './snapshot.js';

/** Tallies by the start of their period, in milliseconds since the epoch. */
export type TalliesByTime = Map<number, Tally[]>;

/** The tallies that the console compares. */
export interface TallyHistory {
  hours: TalliesByTime;
  slots: TalliesByTime;
}

const HOUR_MS = tallyPeriods.hour.ms;
const SLOT_MS = tallyPeriods.slot.ms;
const WEEK_HOURS = 7 * 24;

/**
 * From this value on a population has shifted: the limit of Siddiqi, "Credit Risk Scorecards", Wiley
 * 2006, for about ten bins. 0.1 to 0.25 is a slight shift there.
 */
export const SHIFT_LIMIT = 0.25;
/**
 * With fewer checks, chance alone could reach the limit: without a shift, the index divided by
 * (1/recent + 1/reference) has about a chi-squared distribution with 9 degrees of freedom (Yurdakul
 * and Naranjo, Journal of Risk Model Validation 14(3), 2020), of which 99.9 % is below 27.9. With
 * these counts that is an index of 0.17.
 */
const LEAST_RECENT = 200;
const LEAST_REFERENCE = 1000;

/** Starts of the hours and slots that are compared, the reference without its latest two hours. */
export function periodsAt(now: number) {
  const hour = Math.floor(now / HOUR_MS) * HOUR_MS;
  const slot = Math.floor(now / SLOT_MS) * SLOT_MS;
  const back = (start: number, ms: number, count: number) =>
    Array.from({ length: count }, (_, index) => start - index * ms);
  return {
    week: back(hour - 2 * HOUR_MS, HOUR_MS, WEEK_HOURS - 1),
    day: back(hour, HOUR_MS, 24).toReversed(),
    lastHour: back(slot, SLOT_MS, 6),
    lastHalfHour: back(slot, SLOT_MS, 3),
  };
}

type Counts = Record<string, number>;

function sumCounts(byTime: TalliesByTime, starts: number[], tenant?: string): Counts {
  const sum: Counts = {};
  for (const tally of starts.flatMap((start) => byTime.get(start) ?? [])) {
    if (tenant !== undefined && tally.tenant !== tenant) continue;
    for (const [key, count] of Object.entries(tally.counts)) sum[key] = (sum[key] ?? 0) + count;
  }
  return sum;
}

const binKeys = [...scoreBounds, undefined].map((_, bin) => scoreKey(bin));

/** Compares the scores of all tenants in the last hour with those of the last week. */
export function measureScoreShift({ hours, slots }: TallyHistory, now: number): ScoreShift {
  const { week, lastHour } = periodsAt(now);
  const recent = binsOf(sumCounts(slots, lastHour));
  const reference = binsOf(sumCounts(hours, week));
  const isEnough = recent.total >= LEAST_RECENT && reference.total >= LEAST_REFERENCE;
  return {
    index: isEnough ? stabilityIndex(recent.counts, reference.counts) : undefined,
    limit: SHIFT_LIMIT,
    from: [0, ...scoreBounds],
    recent: sharesOf(recent),
    reference: sharesOf(reference),
    recentChecks: recent.total,
    referenceChecks: reference.total,
  };
}

interface Bins {
  counts: number[];
  total: number;
}

function binsOf(counts: Counts): Bins {
  const bins = binKeys.map((key) => counts[key] ?? 0);
  return { counts: bins, total: bins.reduce((sum, count) => sum + count, 0) };
}

function sharesOf({ counts, total }: Bins): number[] {
  return total === 0 ? [] : counts.map((count) => count / total);
}

/**
 * The population stability index: the sum over the bins of (p - q) ln(p / q). Half a check is added
 * to each bin, so that an empty one does not make it infinite.
 */
export function stabilityIndex(recent: number[], reference: number[]): number {
  const [p, q] = [recent, reference].map((counts) => {
    const total = counts.reduce((sum, count) => sum + count + 0.5, 0);
    return counts.map((count) => (count + 0.5) / total);
  }) as [number[], number[]];
  return p.reduce((sum, share, bin) => sum + (share - q[bin]!) * Math.log(share / q[bin]!), 0);
}

/** The verdicts of one tenant by hour, over the last day. */
export function listMix({ hours }: TallyHistory, tenant: string, now: number): MixHour[] {
  return periodsAt(now).day.flatMap((at) => {
    const counts = sumCounts(hours, [at], tenant);
    const statuses = pick(counts, (key) => tallyStatuses.some((status) => status === key));
    const checks = Object.values(statuses).reduce((sum, count) => sum + count, 0);
    const quality = Object.fromEntries(
      Object.entries(pick(counts, (key) => key.startsWith('quality '))).map(([key, count]) => [
        key.slice('quality '.length),
        count,
      ]),
    );
    return checks === 0 ? [] : [{ at, checks, statuses, quality }];
  });
}

function pick(counts: Counts, isWanted: (key: string) => boolean): Counts {
  return Object.fromEntries(Object.entries(counts).filter(([key]) => isWanted(key)));
}

/** Fewer scored checks of a tenant are not compared. */
const LEAST_COMPARED = 50;

/** Compares the verdicts of one tenant in the last half hour with those of the last week. */
export function measureMixShift(
  { hours, slots }: TallyHistory,
  tenant: string,
  now: number,
): MixShift | undefined {
  const { week, lastHalfHour } = periodsAt(now);
  const recentCounts = sumCounts(slots, lastHalfHour, tenant);
  const referenceCounts = sumCounts(hours, week, tenant);
  const [recent, reference] = [sideOf(recentCounts), sideOf(referenceCounts)];
  if (recent.checks < LEAST_COMPARED || reference.checks < LEAST_COMPARED) return undefined;
  const risen = Object.keys(recentCounts)
    .filter((key) => key.startsWith('quality '))
    .map((key) => ({
      code: key.slice('quality '.length),
      recent: recentCounts[key]! / recent.checks,
      reference: (referenceCounts[key] ?? 0) / reference.checks,
    }))
    .filter((code) => code.recent > 2 * code.reference && code.recent >= 0.05)
    .toSorted((a, b) => b.recent - b.reference - (a.recent - a.reference));
  return { recent, reference, risenCode: risen[0] };
}

function sideOf(counts: Counts): MixSide {
  const count = (status: string) => counts[status] ?? 0;
  return { checks: count('LOW') + count('MODERATE') + count('HIGH'), high: count('HIGH') };
}
