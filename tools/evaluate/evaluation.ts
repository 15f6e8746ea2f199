// The result of an evaluation: figures for all images and for each group.
import { availableParallelism, cpus } from 'node:os';
import type { CutPoints } from '@livegate/core/domain';
import {
  type BootstrapOptions,
  type Figures,
  measureWithIntervals,
  quantile,
} from './statistics/intervals.js';
import type { ScorerFacts } from './open-scorer.js';
import type { DataSet } from './read-samples.js';
import type { Judged } from './score-samples.js';
import type { Label, Presentation } from './statistics/score-curve.js';

export const EVALUATION_FORMAT = 'livegate-evaluation/1';

/** An image with its label and answer, as the JSON has it. */
export interface EvaluatedImage {
  path: string;
  sha256?: string;
  label: Label;
  species: string;
  source: string;
  groups: Record<string, string>;
  outcome: string;
  score?: number;
  logit?: number;
  quality: string[];
  ms: number | null;
}

export interface GroupFigures {
  presented: Record<Label, number>;
  scored: Record<Label, number>;
  /** How many sources: an interval by source from few of them is itself uncertain. */
  sources: number;
  figures: Figures;
}

export interface Evaluation {
  format: typeof EVALUATION_FORMAT;
  date: string;
  machine: string;
  system: ScorerFacts;
  data: { name: string; notes: string[] };
  bootstrap: BootstrapOptions;
  /** Images whose label says how many faces they show. */
  face_count: { path: string; faces: string; outcome: string; right: boolean }[];
  all: GroupFigures;
  /** The mean AUC of the sources that have both classes. */
  macro_auc: number | null;
  /**
   * By column, then by value. An attack species is measured against all bona fide images. An image
   * is in the group of each of its quality codes, or in `none`.
   */
  groups: Record<string, Record<string, GroupFigures>>;
  /** How many images of each class had each outcome. */
  outcomes: Record<Label, Record<string, number>>;
  /** Milliseconds by stage; `total` is what a caller waits. */
  latency: Record<string, Percentiles>;
  images: EvaluatedImage[];
}

export interface Percentiles {
  p50: number;
  p90: number;
  p95: number;
  p99: number;
  max: number;
}

export interface EvaluationContext {
  data: DataSet;
  system: ScorerFacts;
  bootstrap: BootstrapOptions;
}

export function evaluate(
  judged: Judged[],
  { data, system, bootstrap }: EvaluationContext,
): Evaluation {
  const images = judged.flatMap(describeImage);
  const measureGroup = (group: EvaluatedImage[]) =>
    describeGroup(group, { cutPoints: system.cutPoints, bootstrap });
  const groups = groupImages(images).map(([column, values]) => {
    const measured = [...values].map(([value, group]) => [value, measureGroup(group)] as const);
    return [column, Object.fromEntries(measured)] as const;
  });
  const bySource = Object.fromEntries(groups)['source'] ?? {};
  return {
    format: EVALUATION_FORMAT,
    date: new Date().toISOString(),
    machine: `${cpus()[0]?.model ?? 'unknown CPU'}, ${availableParallelism()} cores, Node ${process.version}`,
    system,
    data: { name: data.name, notes: data.notes },
    bootstrap,
    face_count: judged.flatMap(describeFaceCount),
    all: measureGroup(images),
    macro_auc: macroAuc(Object.values(bySource)),
    groups: Object.fromEntries(groups),
    outcomes: countOutcomes(images),
    latency: describeLatency(judged),
    images,
  };
}

function describeImage({ judgement, ...sample }: Judged): EvaluatedImage[] {
  const { label } = sample;
  if (!label) return [];
  const { path, sha256, species, source, groups } = sample;
  const { outcome, score, logit, quality, ms } = judgement;
  return [
    {
      path,
      ...(sha256 !== undefined && { sha256 }),
      label,
      species,
      source,
      groups,
      outcome,
      ...(score !== undefined && { score }),
      ...(logit !== undefined && { logit }),
      quality,
      ms: Number.isFinite(ms) ? ms : null,
    },
  ];
}

const nonResponses = new Set(['no_face', 'too_many_faces']);

/** An image without a score is a non-response, or was refused before any model saw it. */
export function toPresentation(image: EvaluatedImage): Presentation {
  const { label, species, source, score } = image;
  if (score !== undefined) return { label, species, source, score };
  const failure = nonResponses.has(image.outcome) ? 'non_response' : 'acquisition';
  return { label, species, source, failure };
}

interface GroupOptions {
  cutPoints: CutPoints;
  bootstrap: BootstrapOptions;
}

function describeGroup(images: EvaluatedImage[], { cutPoints, bootstrap }: GroupOptions) {
  const presentations = images.map(toPresentation);
  const scored = presentations.filter(({ score }) => score !== undefined);
  return {
    presented: countLabels(presentations),
    scored: countLabels(scored),
    sources: new Set(images.map(({ source }) => source)).size,
    figures: measureWithIntervals(presentations, cutPoints, bootstrap),
  };
}

function countLabels(presentations: Presentation[]): Record<Label, number> {
  const attack = presentations.filter(({ label }) => label === 'attack').length;
  return { attack, 'bona-fide': presentations.length - attack };
}

type Grouped = [column: string, values: Map<string, EvaluatedImage[]>];

function groupImages(images: EvaluatedImage[]): Grouped[] {
  const columns = [...new Set(images.flatMap(({ groups }) => Object.keys(groups)))];
  const bonaFide = images.filter(({ label }) => label === 'bona-fide');
  const attacks = images.filter(({ label }) => label === 'attack');
  const species = groupBy(attacks, (image) => [image.species]);
  for (const group of species.values()) group.push(...bonaFide);
  const grouped: Grouped[] = [
    ['kind', species],
    ['source', groupBy(images, (image) => [image.source])],
    ...columns.map((column): Grouped => [
      column,
      groupBy(images, ({ groups }) => (groups[column] ? [groups[column]] : [])),
    ]),
  ];
  if (!images.some(({ quality }) => quality.length > 0)) return grouped;
  const codesOf = ({ quality }: EvaluatedImage) => (quality.length > 0 ? quality : ['none']);
  return [...grouped, ['quality', groupBy(images, codesOf)]];
}

function groupBy(images: EvaluatedImage[], valuesOf: (image: EvaluatedImage) => string[]) {
  const groups = new Map<string, EvaluatedImage[]>();
  for (const image of images) {
    for (const value of valuesOf(image)) groups.set(value, [...(groups.get(value) ?? []), image]);
  }
  return new Map([...groups].toSorted(([a], [b]) => a.localeCompare(b)));
}

function macroAuc(sources: GroupFigures[]): number | null {
  const aucs = sources.flatMap(({ figures }) => figures.auc.value ?? []);
  return aucs.length > 0 ? aucs.reduce((a, b) => a + b, 0) / aucs.length : null;
}

function countOutcomes(images: EvaluatedImage[]): Evaluation['outcomes'] {
  const outcomes: Evaluation['outcomes'] = { attack: {}, 'bona-fide': {} };
  for (const { label, outcome } of images) {
    outcomes[label][outcome] = (outcomes[label][outcome] ?? 0) + 1;
  }
  return outcomes;
}

const expectedOutcomes: Record<string, string> = {
  none: 'no_face',
  one: 'scored',
  many: 'too_many_faces',
};

/** An image that is refused says nothing about the detector and is left out. */
function describeFaceCount({ path, faces, judgement: { outcome } }: Judged) {
  if (!faces || !Object.values(expectedOutcomes).includes(outcome)) return [];
  return [{ path, faces, outcome, right: outcome === expectedOutcomes[faces] }];
}

function describeLatency(judged: Judged[]): Record<string, Percentiles> {
  const answers = judged.map(({ judgement }) => judgement).filter(({ ms }) => Number.isFinite(ms));
  const stages = [...new Set(answers.flatMap((answer) => Object.keys(answer.stages)))];
  const rows = ['total', ...stages].map((stage) => {
    const ms = answers.flatMap((one) => (stage === 'total' ? one.ms : (one.stages[stage] ?? [])));
    return [stage === 'total' ? 'until the answer' : stage, describeTimes(ms)] as const;
  });
  return answers.length > 0 ? Object.fromEntries(rows) : {};
}

function describeTimes(ms: number[]): Percentiles {
  const sorted = ms.toSorted((a, b) => a - b);
  const at = (share: number) => quantile(sorted, share);
  return { p50: at(0.5), p90: at(0.9), p95: at(0.95), p99: at(0.99), max: at(1) };
}
