// The results as text for the terminal: figures that a first look needs. The files have all of them.
import { formatTable } from '../../format-table.js';
import type { CalibrationFile } from '../calibrate.js';
import { cutPointLevels } from '@livegate/worker/models/calibration';
import type { Comparison } from '../compare.js';
import type { Evaluation, GroupFigures } from '../evaluation.js';
import type { Figure, Interval } from '../statistics/intervals.js';
import { type MeasureName, measureNames, measures } from '../statistics/measures.js';

const shown: [MeasureName, string][] = [
  ['auc', 'AUC'],
  ['eer', 'EER'],
  ['apcer_at_bpcer_5', 'APCER@BPCER5%'],
  ['bpcer20', 'BPCER20'],
  ['apcer_high', 'APCER HIGH'],
  ['bpcer_high', 'BPCER HIGH'],
  ['ece', 'ECE'],
  ['brier', 'Brier'],
];

export function formatEvaluation(evaluation: Evaluation): string {
  const { all, groups, outcomes, latency, bootstrap } = evaluation;
  const named = Object.entries(groups).flatMap(([column, values]) =>
    Object.entries(values).map(([value, group]) => [`${column}: ${value}`, group] as const),
  );
  const header = ['', 'attacks', 'bona fide', ...shown.map(([, title]) => title)];
  const worst = all.figures.worst_apcer_high;
  return [
    ...formatFaceCount(evaluation),
    `\nLiveness of scored images; ACER at HIGH ${show(all.figures.acer_high)}, APCER of the worst ` +
      `species at HIGH ${show(worst)}`,
    formatTable(header, [['all', all] as const, ...named].map(formatGroup)),
    `macro AUC over sources with both classes: ${evaluation.macro_auc?.toFixed(3) ?? '-'}`,
    `\n95 % intervals for all images (${bootstrap.replicates} replicates, seed ${bootstrap.seed})`,
    formatTable(
      ['', 'figure', `by source (${all.sources})`, 'by image'],
      shown.map(([name, title]) => formatIntervals(title, all.figures[name])),
    ),
    `\nOutcomes, attacks: ${formatCounts(outcomes.attack)}; bona fide: ` +
      formatCounts(outcomes['bona-fide']),
    ...Object.entries(latency).map(
      ([stage, ms]) => `${stage}: p50 ${ms.p50.toFixed(1)} ms, p95 ${ms.p95.toFixed(1)} ms`,
    ),
  ].join('\n');
}

function formatFaceCount({ face_count: rows }: Evaluation): string[] {
  if (rows.length === 0) return [];
  const wrong = rows.filter(({ right }) => !right);
  return [
    `\nNumber of faces: ${rows.length - wrong.length} of ${rows.length} images right`,
    ...wrong.map(({ path, faces, outcome }) => `  ${path}: labelled ${faces}, found ${outcome}`),
  ];
}

function formatGroup([name, { scored, figures }]: readonly [string, GroupFigures]): string[] {
  const counts = [`${scored.attack}`, `${scored['bona-fide']}`];
  return [name, ...counts, ...shown.map(([measure]) => show(figures[measure]))];
}

function show({ value }: Figure): string {
  return value === null ? '-' : value.toFixed(3);
}

function formatIntervals(title: string, figure: Figure): string[] {
  return [title, show(figure), range(figure.by_source), range(figure.by_image)];
}

function formatCounts(counts: Record<string, number>): string {
  const listed = Object.entries(counts).map(([outcome, count]) => `${count} ${outcome}`);
  return listed.join(', ') || 'none';
}

export function formatCalibration(file: CalibrationFile): string {
  const { data, figures } = file;
  const quality = [
    ['all', figures] as const,
    ...Object.entries(figures.framing),
    ['all, uncalibrated', figures.uncalibrated] as const,
  ].map(([name, { ece, brier, auc, eer }]) => [name, ...[ece, brier, auc, eer].map(show)]);
  const cuts = cutPointLevels.flatMap((level) =>
    (['moderate', 'high'] as const).map((cut) => {
      const { target_bpcer, by_source, by_image, bpcer, apcer } = figures.cut_points[level][cut];
      const chosen = file.cut_points[level][cut].toFixed(3);
      const rates = [bpcer, apcer].map((rate) => `${show(rate)} (${range(rate.by_source)})`);
      const name = `${level} ${cut.toUpperCase()}`;
      return [name, target_bpcer.toFixed(3), chosen, range(by_source), range(by_image), ...rates];
    }),
  );
  const gain = figures.uncalibrated.brier.value! - figures.brier.value!;
  return [
    `${data.attacks} attacks, ${data.bona_fide} bona fide images, ${data.sources.length} sources`,
    `method: ${file.method}; ${JSON.stringify(file.method === 'platt' ? file.platt : file.isotonic)}`,
    '\nEach source judged by a calibration that was fitted without it',
    formatTable(['', 'ECE', 'Brier', 'AUC', 'EER'], quality),
    gain > 0
      ? 'On held-out sources the calibration is closer to a probability than the plain score.'
      : 'On held-out sources the calibration is NO better than the plain score: these sources differ ' +
        'too much, or are too few. Do not use it before you have more.',
    '\nCut points with 95 % intervals; BPCER and APCER on sources that they were not chosen on',
    formatTable(['', 'aim', 'cut', 'by source', 'by image', 'BPCER', 'APCER'], cuts),
  ].join('\n');
}

export function formatComparison(comparison: Comparison): string {
  const { images, differences } = comparison;
  const rows = measureNames
    .filter((name) => differences[name].value !== null)
    .map((name) => {
      const { value, by_source, by_image, p } = differences[name];
      return [
        measures[name].name,
        signed(value),
        signedRange(by_source),
        signedRange(by_image),
        digits(p),
      ];
    });
  const tests = comparison.mcnemar.map((one) => [
    `${one.label} at ${one.cut_point.toUpperCase()}`,
    `${one.only_a_wrong}`,
    `${one.only_b_wrong}`,
    digits(one.p),
  ]);
  return [
    `A: ${comparison.a}`,
    `B: ${comparison.b}`,
    `${images.matched} images in both files, ${images.scored_by_both} scored by both; only in A: ` +
      `${images.only_a}, only in B: ${images.only_b}`,
    '\nB minus A, with 95 % intervals of paired bootstraps; p by source where it has an interval',
    formatTable(['measure', 'B - A', 'by source', 'by image', 'p'], rows),
    '\nMcNemar, exact: images that only one system got wrong',
    formatTable(['class and cut point', 'A wrong', 'B wrong', 'p'], tests),
  ].join('\n');
}

function signed(value: number | null): string {
  return value === null ? '-' : `${value < 0 ? '' : '+'}${value.toFixed(3)}`;
}

function signedRange(interval: Interval | null): string {
  return interval ? interval.map(signed).join(' to ') : '-';
}

function digits(p: number | null): string {
  return p === null ? '-' : p.toFixed(4);
}

function range(interval: Interval | null): string {
  return interval ? interval.map((bound) => bound.toFixed(3)).join(' to ') : '-';
}
