// The charts of the report, as SVG. They are written here because three static charts need less code
// than the use of a chart library, and the page must work without any script.
//
// Colours are the variables of the page's style sheet, so that they follow its light or dark theme.
import type { CutPoints } from '@livegate/core/domain';
import { type Curve, last, type ReliabilityBin } from '../statistics/score-curve.js';

const WIDTH = 460;
const HEIGHT = 360;
const LEFT = 52;
const RIGHT = 14;
const TOP = 14;
const BOTTOM = 46;

export const seriesColors = ['var(--ink)', 'var(--series-1)', 'var(--series-2)', 'var(--series-3)'];

/** The detection error trade-off, on the usual axes of normal deviates. It needs both classes. */
export function drawDetCurve(series: { name: string; curve: Curve }[]): string {
  const ticks = [0.001, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6];
  const [low, high] = [normalDeviate(ticks[0]!), normalDeviate(ticks.at(-1)!)];
  const at = (rate: number) =>
    (normalDeviate(Math.min(Math.max(rate, ticks[0]!), ticks.at(-1)!)) - low) / (high - low);
  const drawn = series.filter(({ curve }) => last(curve.attack) > 0 && last(curve.bonaFide) > 0);
  const lines = drawn.map(({ curve }, i) => {
    const points = Array.from(curve.attack, (missed, k) => {
      const bpcer = 1 - curve.bonaFide[k]! / last(curve.bonaFide);
      return `${x(at(bpcer))},${y(at(missed / last(curve.attack)))}`;
    });
    const color = seriesColors[i % seriesColors.length]!;
    return `<polyline points="${[...new Set(points)].join(' ')}" fill="none" stroke="${color}" stroke-width="2"/>`;
  });
  const equal = `<line x1="${x(0)}" y1="${y(0)}" x2="${x(1)}" y2="${y(1)}" class="guide"/>`;
  const grid = ticks.map((tick) => {
    const label = `${tick * 100} %`;
    return verticalLine(at(tick), label) + horizontalLine(at(tick), label);
  });
  return frame('DET curve', { x: 'BPCER', y: 'APCER' }, [...grid, equal, ...lines]);
}

const HISTOGRAM_BINS = 20;

/** Shares of each class per score: attacks above the axis, bona fide images below. */
export function drawHistogram(scores: Record<'attack' | 'bonaFide', number[]>, cuts: CutPoints) {
  const attack = countBins(scores.attack);
  const bonaFide = countBins(scores.bonaFide);
  const tallest = Math.max(...attack, ...bonaFide, 0.01);
  const bars = attack.flatMap((share, i) => [
    bar(i, { share: share / tallest / 2, up: true, label: percent(share) }),
    bar(i, { share: bonaFide[i]! / tallest / 2, up: false, label: percent(bonaFide[i]!) }),
  ]);
  const marks = [
    { at: cuts.moderate, label: 'MODERATE' },
    { at: cuts.high, label: 'HIGH' },
  ].map(
    ({ at, label }, i) =>
      `<line x1="${x(at)}" y1="${y(0)}" x2="${x(at)}" y2="${y(1)}" class="mark"/>` +
      `<text x="${x(at) + 4}" y="${TOP + 12 + 14 * i}">${label}</text>`,
  );
  const grid = [0, 0.2, 0.4, 0.6, 0.8, 1].map((tick) => verticalLine(tick, `${tick}`));
  const middle = `<line x1="${x(0)}" y1="${y(0.5)}" x2="${x(1)}" y2="${y(0.5)}" class="axis"/>`;
  const axes = { x: 'score', y: 'bona fide | attacks' };
  return frame('Score histogram', axes, [...grid, ...bars, middle, ...marks]);
}

function countBins(scores: number[]): number[] {
  const bins = Array.from({ length: HISTOGRAM_BINS }, () => 0);
  for (const score of scores) {
    bins[Math.min(HISTOGRAM_BINS - 1, Math.floor(score * HISTOGRAM_BINS))]! += 1 / scores.length;
  }
  return bins;
}

function bar(i: number, { share, up, label }: { share: number; up: boolean; label: string }) {
  if (share === 0) return '';
  const left = x(i / HISTOGRAM_BINS) + 1;
  const width = x((i + 1) / HISTOGRAM_BINS) - x(i / HISTOGRAM_BINS) - 2;
  const top = up ? y(0.5 + share) : y(0.5);
  const height = y(0.5 - share) - y(0.5);
  const color = up ? 'var(--attack)' : 'var(--bona-fide)';
  return (
    `<rect x="${round(left)}" y="${round(top)}" width="${round(width)}" ` +
    `height="${round(height)}" fill="${color}"><title>${label}</title></rect>`
  );
}

/** The share of attacks among the images of each bin; on the diagonal, a score is a probability. */
export function drawReliability(bins: ReliabilityBin[]): string {
  const points = bins.filter(({ weight }) => weight > 0).map(drawBin);
  const diagonal = `<line x1="${x(0)}" y1="${y(0)}" x2="${x(1)}" y2="${y(1)}" class="guide"/>`;
  const grid = [0, 0.2, 0.4, 0.6, 0.8, 1].map(
    (tick) => verticalLine(tick, `${tick}`) + horizontalLine(tick, `${tick}`),
  );
  const axes = { x: 'mean score', y: 'share of attacks' };
  return frame('Reliability diagram', axes, [...grid, diagonal, ...points]);
}

function drawBin({ weight, scores, attacks }: ReliabilityBin): string {
  const share = attacks / weight;
  const [low, high] = wilson(share, weight);
  const at = x(scores / weight);
  return (
    `<line x1="${at}" y1="${y(low)}" x2="${at}" y2="${y(high)}" class="whisker"/>` +
    `<circle cx="${at}" cy="${y(share)}" r="5" fill="var(--series-1)">` +
    `<title>${attacks} of ${weight} are attacks</title></circle>`
  );
}

/** The 95 % score interval of a share, which is not empty at 0 and 1. */
function wilson(share: number, n: number): [number, number] {
  const z = 1.96;
  const middle = (share + z ** 2 / (2 * n)) / (1 + z ** 2 / n);
  const half =
    (z * Math.sqrt((share * (1 - share)) / n + z ** 2 / (4 * n ** 2))) / (1 + z ** 2 / n);
  return [Math.max(0, middle - half), Math.min(1, middle + half)];
}

/** Abramowitz and Stegun 26.2.23: off by less than 0.00045, less than a pixel here. */
function normalDeviate(probability: number): number {
  if (probability > 0.5) return -normalDeviate(1 - probability);
  const t = Math.sqrt(-2 * Math.log(probability));
  const numerator = 2.515517 + 0.802853 * t + 0.010328 * t ** 2;
  const denominator = 1 + 1.432788 * t + 0.189269 * t ** 2 + 0.001308 * t ** 3;
  return numerator / denominator - t;
}

/** Pixels of a share of the plot's width and, from the bottom, of its height. */
function x(share: number): number {
  return round(LEFT + share * (WIDTH - LEFT - RIGHT));
}

function y(share: number): number {
  return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM));
}

function round(pixels: number): number {
  return Math.round(pixels * 10) / 10;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

function verticalLine(share: number, label: string): string {
  return (
    `<line x1="${x(share)}" y1="${y(0)}" x2="${x(share)}" y2="${y(1)}" class="grid"/>` +
    `<text x="${x(share)}" y="${y(0) + 16}" text-anchor="middle">${label}</text>`
  );
}

function horizontalLine(share: number, label: string): string {
  return (
    `<line x1="${x(0)}" y1="${y(share)}" x2="${x(1)}" y2="${y(share)}" class="grid"/>` +
    `<text x="${x(0) - 6}" y="${y(share) + 4}" text-anchor="end">${label}</text>`
  );
}

function frame(title: string, axes: { x: string; y: string }, parts: string[]): string {
  const middle = round((TOP + HEIGHT - BOTTOM) / 2);
  return (
    `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${title}">${parts.join('')}` +
    `<text x="${x(0.5)}" y="${HEIGHT - 8}" text-anchor="middle">${axes.x}</text>` +
    `<text transform="translate(12 ${middle}) rotate(-90)" text-anchor="middle">${axes.y}</text></svg>`
  );
}
