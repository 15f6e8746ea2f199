// One HTML page about an evaluation: no script, no other file, no image of a person.
import { definitions, escape, figure, page, table } from './page.js';
import { drawDetCurve, drawHistogram, drawReliability, seriesColors } from './charts.js';
import {
  type EvaluatedImage,
  type Evaluation,
  type GroupFigures,
  toPresentation,
} from '../evaluation.js';
import type { Figure, Interval } from '../statistics/intervals.js';
import { type MeasureName, measureNames, measures } from '../statistics/measures.js';
import { rank, reliability, sweep } from '../statistics/score-curve.js';

const WORST_MISSES = 15;

export function writeReport(evaluation: Evaluation): string {
  const { system, data, date, machine, all, groups, bootstrap } = evaluation;
  const { quality, ...otherGroups } = groups;
  return page(`Evaluation of ${data.name}`, [
    definitions([
      [
        'Data',
        `${data.name}: ${all.presented.attack} attacks, ${all.presented['bona-fide']} bona fide, ${all.sources} sources`,
      ],
      [
        'System',
        `${system.model}; profile ${system.profile}; ${system.where}${system.settings ? `; settings ${system.settings}` : ''}`,
      ],
      [
        'Cut points',
        `MODERATE from ${system.cutPoints.moderate}, HIGH from ${system.cutPoints.high}`,
      ],
      ['Measured', `${date} on ${machine}`],
    ]),
    `<p>Terms of ISO/IEC 30107-3. The system is not certified, and the figures hold for these images only.
    Each figure has 95 % intervals from ${bootstrap.replicates} bootstrap replicates (seed ${bootstrap.seed}): by source,
    whole sources are drawn again, which says what other sources might give; by image, only images are.
    ${all.sources < 10 ? `With ${all.sources} sources the interval by source is itself rough.` : ''}</p>`,
    ...data.notes.map((note) => `<p>${escape(note)}.</p>`),
    charts(evaluation),
    '<h2>Figures</h2>',
    figureTable(all),
    `<h2>Groups</h2><p>Of scored images. Species are measured against all bona fide images. Small: the
    interval by source where there is one, else by image.</p>`,
    ...Object.entries(otherGroups).map(([column, values]) => groupTable(column, values)),
    '<h2>Images without a score</h2>',
    outcomeTable(evaluation),
    ...(quality
      ? ['<h2>Quality codes against errors</h2>', qualityText, groupTable('code', quality)]
      : []),
    '<h2>Worst misses</h2>',
    missTables(evaluation.images, system.cutPoints.high),
    ...latencyTable(evaluation),
  ]);
}

const qualityText = `<p>An image counts under each of its codes. The row "none" is what remains when
images with a code are refused.</p>`;

function figureTable({ figures }: GroupFigures): string {
  const rows = measureNames
    .filter((name) => figures[name].value !== null)
    .map((name) => {
      const { value, by_source, by_image } = figures[name];
      return [escape(measures[name].name), digits(value), range(by_source), range(by_image)];
    });
  return table(['Measure', 'Figure', 'By source', 'By image'], rows);
}

function charts({ images, groups, system }: Evaluation): string {
  const framings = Object.entries(groups['framing'] ?? {}).slice(0, seriesColors.length - 1);
  const withBoth = framings.filter(
    ([, { scored }]) => scored.attack > 0 && scored['bona-fide'] > 0,
  );
  const series = [
    { name: 'all', images },
    ...withBoth.map(([name]) => ({
      name,
      images: images.filter((image) => image.groups['framing'] === name),
    })),
  ].map((one) => ({ name: one.name, curve: curveOf(one.images) }));
  const legend = series.map(
    ({ name }, i) => `<span style="color:${seriesColors[i]!}">&#9632;</span> ${escape(name)}`,
  );
  const scoresOf = (label: string) =>
    images.flatMap((image) => (image.label === label ? (image.score ?? []) : []));
  const scores = { attack: scoresOf('attack'), bonaFide: scoresOf('bona-fide') };
  const ranked = rank(images.map(toPresentation));
  const ones = new Float64Array(images.length).fill(1);
  return `<div class="charts">${[
    figure(
      drawDetCurve(series),
      `DET curve: ${legend.join(' ')}. Rates beyond the axes lie on the edge.`,
    ),
    figure(
      drawHistogram(scores, system.cutPoints),
      `Scores, as shares of their class:
      <span style="color:var(--attack)">&#9632;</span> attacks above,
      <span style="color:var(--bona-fide)">&#9632;</span> bona fide below.`,
    ),
    figure(
      drawReliability(reliability(ranked, ones)),
      'Reliability: on the dashed line a score is the share of attacks in these data.',
    ),
  ].join('')}</div>`;
}

function curveOf(images: EvaluatedImage[]) {
  const ranked = rank(images.map(toPresentation));
  return sweep(ranked, new Float64Array(images.length).fill(1));
}

const groupMeasures: [MeasureName, string][] = [
  ['auc', 'AUC'],
  ['eer', 'EER'],
  ['apcer_at_bpcer_5', 'APCER at BPCER 5 %'],
  ['apcer_moderate', 'APCER from MODERATE'],
  ['bpcer_moderate', 'BPCER from MODERATE'],
  ['apcer_high', 'APCER at HIGH'],
  ['bpcer_high', 'BPCER at HIGH'],
  ['ece', 'ECE'],
  ['brier', 'Brier'],
];

function groupTable(column: string, values: Record<string, GroupFigures>): string {
  const header = [column, 'Attacks', 'Bona fide', ...groupMeasures.map(([, title]) => title)];
  const rows = Object.entries(values).map(([value, { scored, figures }]) => [
    escape(value),
    `${scored.attack}`,
    `${scored['bona-fide']}`,
    ...groupMeasures.map(([name]) => withInterval(figures[name])),
  ]);
  return table(header, rows);
}

function outcomeTable({ outcomes }: Evaluation): string {
  const codes = [...new Set(Object.values(outcomes).flatMap((counts) => Object.keys(counts)))];
  const rows = codes
    .toSorted()
    .map((code) => [
      escape(code),
      `${outcomes.attack[code] ?? 0}`,
      `${outcomes['bona-fide'][code] ?? 0}`,
    ]);
  return `${table(['Outcome', 'Attacks', 'Bona fide'], rows)}<p><code>no_face</code> and
  <code>too_many_faces</code> are non-responses. Other codes are acquisition failures: the image was
  refused before a model saw it.</p>`;
}

function missTables(images: EvaluatedImage[], high: number): string {
  const scored = images.filter(({ score }) => score !== undefined);
  const misses = scored
    .filter(({ label, score }) => label === 'attack' && score! < high)
    .toSorted((a, b) => a.score! - b.score!);
  const alarms = scored
    .filter(({ label, score }) => label === 'bona-fide' && score! >= high)
    .toSorted((a, b) => b.score! - a.score!);
  return (
    `<h3>Attacks below HIGH: ${misses.length}</h3>${missTable(misses)}` +
    `<h3>Bona fide images at HIGH: ${alarms.length}</h3>${missTable(alarms)}`
  );
}

function missTable(images: EvaluatedImage[]): string {
  if (images.length === 0) return '<p>None.</p>';
  const rows = images
    .slice(0, WORST_MISSES)
    .map(({ path, score, species, quality }) => [
      `<code>${escape(path)}</code>`,
      digits(score!),
      escape(species),
      escape(quality.join(', ') || '-'),
    ]);
  return table(['File', 'Score', 'Kind', 'Quality codes'], rows);
}

function latencyTable({ latency }: Evaluation): string[] {
  const rows = Object.entries(latency).map(([stage, times]) => [
    escape(stage),
    ...[times.p50, times.p90, times.p95, times.p99, times.max].map((ms) => ms.toFixed(1)),
  ]);
  if (rows.length === 0) return [];
  return [
    '<h2>Latency, ms per image</h2>',
    table(['Stage', 'p50', 'p90', 'p95', 'p99', 'Max'], rows),
  ];
}

function withInterval({ value, by_source, by_image }: Figure): string {
  const interval = by_source ?? by_image;
  if (!interval) return digits(value);
  const [low, high] = interval.map((bound) => bound.toFixed(2));
  return `${digits(value)} <small>${low} – ${high}</small>`;
}

function digits(value: number | null): string {
  return value === null ? '-' : value.toFixed(3);
}

function range(interval: Interval | null): string {
  return interval ? `${digits(interval[0])} to ${digits(interval[1])}` : '-';
}
