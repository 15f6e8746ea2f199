import { byId, make } from '../elements.js';
import type { MixHour, Snapshot, TenantState } from '../../src/operator/console/snapshot.js';
import { drawBars, drawMeter } from './charts.js';
import { formatNumber, formatShare, formatTime } from './format.js';
import { showTable } from './show-tables.js';

/** The statuses from below, each with its tone. */
const tones = [
  ['LOW', 4],
  ['MODERATE', 2],
  ['HIGH', 3],
  ['no_face', 5],
  ['too_many_faces', 1],
] as const;

export function showTenants({ tenants }: Snapshot): void {
  showTable('tenants', {
    heads: ['Tenant', 'Share of requests', 'Requests', 'Verdicts by hour', 'HIGH', 'Quality codes'],
    rows: tenants.map((tenant) => ({ cells: describeTenant(tenant) })),
    empty: 'No tenant has sent a check in the last 15 minutes, and no counts are kept.',
  });
}

function describeTenant({ tenant, share, perSecond, hours, shift }: TenantState) {
  const latest = hours.at(-1);
  const now = shift ? shift.recent.high / shift.recent.checks : latest && shareOf(latest, 'HIGH');
  const before = shift && shift.reference.high / shift.reference.checks;
  const high = now === undefined ? 'too few' : formatShare(now);
  return [
    tenant,
    [drawMeter(share), formatShare(share)],
    `${formatNumber(perSecond)}/s`,
    hours.length === 0 ? 'too few' : make('div', { className: 'mix' }, drawMix(hours)),
    before === undefined ? high : `${high}, ${formatShare(before)} in the week`,
    latest ? listCodes(latest) : 'too few',
  ];
}

const HOUR_MS = 60 * 60 * 1000;
const DAY_HOURS = 24;

const shareOf = ({ checks, statuses }: MixHour, status: string) => (statuses[status] ?? 0) / checks;

function drawMix(hours: MixHour[]): Node {
  const latest = hours.at(-1)!;
  const bars = Array.from({ length: DAY_HOURS }, (_, place) => {
    const hour = hours.find(({ at }) => at === latest.at - (DAY_HOURS - 1 - place) * HOUR_MS);
    const parts = tones.map(([status, tone]) => ({
      tone,
      share: hour ? shareOf(hour, status) : 0,
    }));
    return { parts };
  });
  const shares = tones
    .filter(([status]) => shareOf(latest, status) > 0)
    .map(([status]) => `${status} ${formatShare(shareOf(latest, status))}`);
  const label = `${hours.length} hours with counts. The hour from ${formatTime(latest.at)}: ${shares.join(', ')}.`;
  return drawBars(bars, { label, height: 44 });
}

/** The three most frequent codes. */
function listCodes(hour: MixHour): Node | string {
  const codes = Object.entries(hour.quality).toSorted(([, a], [, b]) => b - a);
  if (codes.length === 0) return 'none';
  const items = codes
    .slice(0, 3)
    .map(([code, count]) => make('li', {}, `${code} ${formatShare(count / hour.checks)}`));
  return make('ul', { className: 'codes' }, ...items);
}

/** The legend of the verdicts' colors, once. */
export function showMixKey(): void {
  const keys = tones.map(([status, tone]) =>
    make('span', { className: `key tone-${tone}` }, status),
  );
  const caption = make('p', { className: 'note' });
  for (const key of keys) caption.append(key, ' ');
  byId('tenants', HTMLElement).before(caption);
}

export function showScores({ scores }: Snapshot): void {
  const { index, limit, from, recent, reference, recentChecks, referenceChecks } = scores;
  const counts = `${recentChecks} checks in the last hour, ${referenceChecks} in the week before`;
  if (recent.length === 0 || reference.length === 0) {
    byId('scores', HTMLElement).replaceChildren(
      make('p', { className: 'empty' }, `Too few checks to compare: ${counts}.`),
    );
    return;
  }
  const verdict =
    index === undefined
      ? 'Too few checks for an index (200 and 1000).'
      : `Stability index ${index.toFixed(2)}; from ${limit} on the scores have shifted.`;
  const most = Math.max(...recent, ...reference);
  const bars = from.flatMap((_, bin) => [
    { parts: [{ tone: 5, share: reference[bin]! / most }] },
    { parts: [{ tone: 1, share: recent[bin]! / most }] },
  ]);
  const shares = from.map(
    (bound, bin) =>
      `from ${bound}: ${formatShare(recent[bin]!)}, before ${formatShare(reference[bin]!)}`,
  );
  const label = `Share of the scores by bin. ${shares.join('; ')}.`;
  const ends = make('div', { className: 'axis' }, make('span', {}, 'score 0'));
  ends.append(make('span', {}, '1'));
  const caption = make('figcaption', {}, make('strong', {}, verdict));
  caption.append(
    make('span', { className: 'key tone-5' }, 'last week'),
    make('span', { className: 'key tone-1' }, 'last hour'),
    make('span', {}, counts),
  );
  byId('scores', HTMLElement).replaceChildren(
    caption,
    drawBars(bars, { label, height: 110 }),
    ends,
  );
}

export function showBatches({ batches }: Snapshot): void {
  const { mean, sizes } = batches;
  const place = byId('batches', HTMLElement);
  if (mean === undefined) {
    place.replaceChildren(make('p', { className: 'empty' }, 'No run in the last 15 minutes.'));
    return;
  }
  const runs = sizes.reduce((sum, size) => sum + size.runs, 0);
  const most = Math.max(...sizes.map((size) => size.runs));
  const names = sizes.map(({ upTo }) => (upTo === undefined ? 'more' : `up to ${upTo}`));
  const bars = sizes.map((size) => ({ parts: [{ tone: 1, share: size.runs / most }] }));
  const parts = names.map((name, index) => `${name}: ${formatShare(sizes[index]!.runs / runs)}`);
  const caption = make('figcaption', {}, make('strong', {}, `${mean.toFixed(1)} on average`));
  const words = make('p', { className: 'note' }, parts.join(', '));
  const label = `Runs by their number of images. ${parts.join(', ')}.`;
  place.replaceChildren(caption, drawBars(bars, { label, height: 110, places: 4 }), words);
}
