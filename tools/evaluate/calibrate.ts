// Chooses a calibration and cut points from labelled logits, and says how well they hold on sources
// that they were not chosen on.
import { sigmoid, toProbability } from '@livegate/worker/inference/score-faces';
import type { CutPointLevel, CutPointSets, Scaling } from '@livegate/worker/models/calibration';
import { crossValidate, leaveOneSourceOut } from './statistics/cross-validate.js';
import { type Fit, fits, type LabelledLogit, type Method } from './statistics/fit-calibration.js';
import {
  type BootstrapOptions,
  countSources,
  drawWeights,
  type Figure,
  type Interval,
  measureWithIntervals,
  percentiles,
  type Unit,
} from './statistics/intervals.js';
import { bpcerOfTarget, type Cut, mapLevels, proposeCutPoints } from './statistics/cut-points.js';
import { type Presentation, rank, type Ranked } from './statistics/score-curve.js';

export const CALIBRATION_FORMAT = 'livegate-calibration/1';

/** What a worker loads from `LIVEGATE_CALIBRATION_FILE`. */
export type CalibrationFile = {
  format: typeof CALIBRATION_FORMAT;
  profile: string;
  /** As in the `Livegate-Model` header: a calibration holds for these models only. */
  model: string;
  cut_points: CutPointSets;
  data: { name: string; date: string; sources: string[]; bona_fide: number; attacks: number };
  figures: CalibrationFigures;
} & Scaling;

interface QualityFigures {
  ece: Figure;
  brier: Figure;
  auc: Figure;
  eer: Figure;
}

/** All of probabilities that a calibration gave which saw no image of the same source. */
interface CalibrationFigures extends QualityFigures {
  validation: 'leave one source out';
  framing: Record<string, QualityFigures>;
  /** The plain P(spoof), for comparison. */
  uncalibrated: QualityFigures;
  /** Brier score of each method: the lower one was chosen, unless one was asked for. */
  brier_by_method: Record<Method, number | null>;
  cut_points: Record<CutPointLevel, Record<Cut, CutPointFigures>>;
}

interface CutPointFigures {
  target_bpcer: number;
  /** Of the cut point itself, when sources or images are drawn again. */
  by_source: Interval | null;
  by_image: Interval | null;
  /** Of cut points chosen without the source that they are applied to. */
  bpcer: Figure;
  apcer: Figure;
}

export interface LogitSample extends LabelledLogit {
  species: string;
  framing: string;
}

export interface CalibrateOptions {
  targetBpcer: number;
  /** Absent: the method with the lower Brier score on held-out sources. */
  method?: Method;
  bootstrap: BootstrapOptions;
  profile: string;
  model: string;
  data: { name: string; date: string };
}

export function calibrate(samples: LogitSample[], options: CalibrateOptions): CalibrationFile {
  const held = {
    platt: crossValidate(samples, fits.platt),
    isotonic: crossValidate(samples, fits.isotonic),
  };
  const briers = { platt: brier(samples, held.platt), isotonic: brier(samples, held.isotonic) };
  const method = options.method ?? (briers.isotonic < briers.platt ? 'isotonic' : 'platt');
  const calibration = fits[method](samples);
  const calibrated = samples.map(({ logit }) => toProbability(logit, calibration));
  const ranked = rank(toPresentations(samples, calibrated));
  const bonaFide = samples.filter(({ label }) => label === 'bona-fide').length;
  return {
    format: CALIBRATION_FORMAT,
    profile: options.profile,
    model: options.model,
    ...calibration,
    cut_points: proposeCutPoints(ranked, options.targetBpcer),
    data: {
      ...options.data,
      sources: [...new Set(samples.map(({ source }) => source))].toSorted(),
      bona_fide: bonaFide,
      attacks: samples.length - bonaFide,
    },
    figures: {
      validation: 'leave one source out',
      ...qualityFigures(samples, held[method], options.bootstrap),
      framing: byFraming(samples, held[method], options.bootstrap),
      uncalibrated: qualityFigures(
        samples,
        samples.map(({ logit }) => sigmoid(logit)),
        options.bootstrap,
      ),
      brier_by_method: briers,
      cut_points: validateCutPoints(samples, ranked, { ...options, fit: fits[method] }),
    },
  };
}

function toPresentations(samples: LogitSample[], scores: number[]): Presentation[] {
  return samples.map(({ label, species, source }, i) => ({
    label,
    species,
    source,
    score: scores[i]!,
  }));
}

function brier(samples: LogitSample[], probabilities: number[]): number {
  const squares = samples.map(
    ({ label }, i) => (probabilities[i]! - (label === 'attack' ? 1 : 0)) ** 2,
  );
  return squares.reduce((a, b) => a + b, 0) / squares.length;
}

function qualityFigures(
  samples: LogitSample[],
  probabilities: number[],
  bootstrap: BootstrapOptions,
): QualityFigures {
  const unused = { moderate: 0.5, high: 0.5 };
  const presentations = toPresentations(samples, probabilities);
  const { ece, brier: score, auc, eer } = measureWithIntervals(presentations, unused, bootstrap);
  return { ece, brier: score, auc, eer };
}

function byFraming(
  samples: LogitSample[],
  probabilities: number[],
  bootstrap: BootstrapOptions,
): Record<string, QualityFigures> {
  const framings = [...new Set(samples.map(({ framing }) => framing))].toSorted();
  const measured = framings.map((framing) => {
    const indices = samples.flatMap((sample, i) => (sample.framing === framing ? [i] : []));
    const some = indices.map((i) => samples[i]!);
    const scores = indices.map((i) => probabilities[i]!);
    return [framing, qualityFigures(some, scores, bootstrap)] as const;
  });
  return Object.fromEntries(measured);
}

type ValidateOptions = CalibrateOptions & { fit: Fit };

function validateCutPoints(
  samples: LogitSample[],
  ranked: Ranked,
  { targetBpcer, bootstrap, fit }: ValidateOptions,
): CalibrationFigures['cut_points'] {
  const redraw = (unit: Unit) =>
    drawWeights(ranked.presentations, unit, bootstrap)
      // A draw of sources without bona fide images allows any cut point.
      .filter((weights) => ranked.speciesOf.some((of, i) => of < 0 && weights[i]! > 0))
      .map((weights) => proposeCutPoints(ranked, targetBpcer, weights));
  const varies = countSources(ranked.presentations)['bona-fide'] > 1;
  const drawn = { source: redraw('source'), image: redraw('image') };
  const cutOfSource = cutPointsByHeldOutSource(samples, targetBpcer, fit);
  return mapLevels((level) => {
    const figuresAt = (cut: Cut): CutPointFigures => {
      // A decision is a score of 1 or 0, so that the rates and their intervals need no new code.
      const decisions = samples.map(({ source, logit }) => {
        const { calibration, cutPoints } = cutOfSource.get(source)!;
        return toProbability(logit, calibration) >= cutPoints[level][cut] ? 1 : 0;
      });
      const half = { moderate: 0.5, high: 0.5 };
      const rates = measureWithIntervals(toPresentations(samples, decisions), half, bootstrap);
      return {
        target_bpcer: bpcerOfTarget[level][cut] * targetBpcer,
        by_source: varies ? percentiles(drawn.source.map((set) => set[level][cut])) : null,
        by_image: percentiles(drawn.image.map((set) => set[level][cut])),
        bpcer: rates.bpcer_high,
        apcer: rates.apcer_high,
      };
    };
    return { moderate: figuresAt('moderate'), high: figuresAt('high') };
  });
}

/** For each source, a calibration and cut points that were chosen without it. */
function cutPointsByHeldOutSource(samples: LogitSample[], targetBpcer: number, fit: Fit) {
  const chosen = leaveOneSourceOut(samples).map(({ heldOut, train }) => {
    const calibration = fit(train);
    const scores = train.map(({ logit }) => toProbability(logit, calibration));
    const cutPoints = proposeCutPoints(rank(toPresentations(train, scores)), targetBpcer);
    return [heldOut, { calibration, cutPoints }] as const;
  });
  return new Map(chosen);
}
