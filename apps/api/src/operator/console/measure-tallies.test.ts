import type { Tally } from '@livegate/core/domain';
import { describe, expect, it } from 'vitest';
import {
  listMix,
  measureMixShift,
  measureScoreShift,
  periodsAt,
  SHIFT_LIMIT,
  stabilityIndex,
  type TallyHistory,
} from './measure-tallies.js';

const now = Date.UTC(2026, 10, 26, 12, 34);
const { week, day, lastHour, lastHalfHour } = periodsAt(now);

/** The same tally in every hour of the week, and another one in every slot of the last hour. */
function historyOf(before: Tally['counts'], after: Tally['counts']): TallyHistory {
  const each = (starts: number[], counts: Tally['counts']) =>
    new Map(starts.map((start) => [start, [{ tenant: 'acme', counts }]]));
  return { hours: each(week, before), slots: each(lastHour, after) };
}

describe('periods', () => {
  it('compare a week that ends two hours ago with the last hour', () => {
    const iso = (start: number | undefined) => new Date(start!).toISOString().slice(5, 16);
    expect([week[0], week.at(-1)].map(iso)).toEqual(['11-26T10:00', '11-19T12:00']);
    expect([lastHour[0], lastHour.at(-1)].map(iso)).toEqual(['11-26T12:30', '11-26T11:40']);
    expect(lastHalfHour.map(iso)).toEqual(['11-26T12:30', '11-26T12:20', '11-26T12:10']);
    expect([day[0], day.at(-1)].map(iso)).toEqual(['11-25T13:00', '11-26T12:00']);
  });
});

describe('the stability index', () => {
  it('is 0 for the same distribution, and grows with the shift', () => {
    expect(stabilityIndex([50, 50], [500, 500])).toBeCloseTo(0, 5);
    const slight = stabilityIndex([60, 40], [500, 500]);
    expect(slight).toBeGreaterThan(0);
    expect(stabilityIndex([90, 10], [500, 500])).toBeGreaterThan(slight);
  });

  it('has the value of its definition', () => {
    // (0.6 - 0.5) ln(0.6 / 0.5) + (0.4 - 0.5) ln(0.4 / 0.5), computed by hand.
    expect(stabilityIndex([600_000, 400_000], [500_000, 500_000])).toBeCloseTo(0.040_55, 4);
  });
});

describe('the shift of the scores', () => {
  it('reaches the limit when a third of the scores move to the other end', () => {
    const shift = measureScoreShift(
      historyOf({ 'score 0': 90, 'score 9': 10 }, { 'score 0': 30, 'score 9': 20 }),
      now,
    );
    expect(shift.index).toBeGreaterThan(SHIFT_LIMIT);
    expect(shift).toMatchObject({ recentChecks: 300, referenceChecks: 16_700 });
    expect(shift.recent[0]).toBeCloseTo(0.6);
    expect(shift.reference[9]).toBeCloseTo(0.1);
  });

  it('is not computed with too few checks', () => {
    const same = { 'score 0': 33 };
    expect(measureScoreShift(historyOf(same, same), now).index).toBeUndefined();
    expect(measureScoreShift(historyOf(same, { 'score 0': 34 }), now).index).toBeDefined();
    expect(measureScoreShift(historyOf({ 'score 0': 5 }, { 'score 0': 34 }), now).index).toBe(
      undefined,
    );
  });
});

describe('the verdicts of a tenant', () => {
  it('are listed by hour, only hours with checks, oldest first', () => {
    const history = historyOf({ LOW: 8, HIGH: 1, no_face: 1, 'quality face_turned': 3 }, {});
    const hours = listMix(history, 'acme', now);
    // The reference of the week does not have the latest two hours of the day.
    expect(hours).toHaveLength(22);
    expect(hours[0]).toEqual({
      at: day[0],
      checks: 10,
      statuses: { LOW: 8, HIGH: 1, no_face: 1 },
      quality: { face_turned: 3 },
    });
    expect(listMix(history, 'other', now)).toEqual([]);
  });

  it('are compared with the week before, with the quality code that rose most', () => {
    const history = historyOf(
      { LOW: 90, HIGH: 10, 'quality image_too_dark': 1 },
      { LOW: 16, HIGH: 4, 'quality image_too_dark': 6 },
    );
    expect(measureMixShift(history, 'acme', now)).toEqual({
      recent: { checks: 60, high: 12 },
      reference: { checks: 16_700, high: 1670 },
      risenCode: { code: 'image_too_dark', recent: 0.3, reference: 0.01 },
    });
  });

  it('are not compared with fewer than fifty checks', () => {
    expect(measureMixShift(historyOf({ LOW: 90 }, { LOW: 16 }), 'acme', now)).toBeUndefined();
  });
});
