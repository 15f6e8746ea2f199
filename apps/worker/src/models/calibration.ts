import { createHash } from 'node:crypto';
import type { CalibrationFacts, CutPoints } from '@livegate/core/domain';
import { z } from 'zod';

/**
 * What turns the fused logit into P(spoof), and the cut points that were chosen with it. A profile
 * of the catalogue has one; the file of `npm run calibrate` replaces it.
 */
export type Calibration = z.infer<typeof calibrationSchema>;
/** The part of a calibration that computes. */
export type Scaling =
  | Pick<z.infer<typeof plattSchema>, 'method' | 'platt'>
  | Pick<z.infer<typeof isotonicSchema>, 'method' | 'isotonic'>;
export type CalibrationFile = z.infer<typeof fileSchema>;
export type CutPointSets = z.infer<typeof cutPointSetsSchema>;

export const cutPointLevels = ['soft', 'regular', 'hardened'] as const;
export type CutPointLevel = (typeof cutPointLevels)[number];

/** What `GET /v1/models` says about it. */
export function describeCalibration(calibration: Calibration): CalibrationFacts {
  const { method, data, figures } = calibration;
  const constants = method === 'platt' ? calibration.platt : calibration.isotonic;
  const hash = createHash('sha256').update(JSON.stringify(constants)).digest('hex');
  return { id: hash.slice(0, 8), method, data, figures };
}

export interface CalibratedModels {
  profile: string;
  /** As in the `Livegate-Model` header. */
  model: string;
}

/**
 * Throws an Error that lists every problem of the file, or says that it was fitted to other models
 * than the loaded ones, whose scores it would make wrong.
 */
export function parseCalibrationFile(
  text: string,
  { path, loaded }: { path: string; loaded: CalibratedModels },
): CalibrationFile {
  const parsed = jsonText.pipe(fileSchema).safeParse(text);
  if (!parsed.success) {
    throw new Error(`${path} is not a calibration file:\n${z.prettifyError(parsed.error)}`);
  }
  const file = parsed.data;
  if (file.model === loaded.model && file.profile === loaded.profile) return file;
  throw new Error(
    `${path} was fitted to profile ${file.profile} with ${file.model}, but profile ` +
      `${loaded.profile} with ${loaded.model} is loaded: fit it again with "npm run calibrate"`,
  );
}

export interface CutPointChoice {
  level: CutPointLevel;
  /** Replace the value of the level. */
  moderate?: number | undefined;
  high?: number | undefined;
}

/** Throws an Error when a replaced value puts them out of order. */
export function chooseCutPoints(
  sets: CutPointSets,
  { level, moderate, high }: CutPointChoice,
): CutPoints {
  const chosen = {
    moderate: moderate ?? sets[level].moderate,
    high: high ?? sets[level].high,
  };
  if (chosen.moderate <= chosen.high) return chosen;
  throw new Error(
    `the cut point of MODERATE, ${chosen.moderate}, is above the one of HIGH, ${chosen.high}: ` +
      'set LIVEGATE_MODERATE_FROM and LIVEGATE_HIGH_FROM, or neither',
  );
}

const jsonText = z.string().transform((text, context): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    context.addIssue({ code: 'custom', message: 'not JSON' });
    return z.NEVER;
  }
});

export type Knots = z.infer<typeof knotsSchema>;

const knotsSchema = z
  .strictObject({
    /** Strictly rising, or equal where the probability jumps. */
    logits: z.array(z.number()).min(2),
    probabilities: z.array(z.number().min(0).max(1)).min(2),
  })
  .refine(({ logits, probabilities }) => logits.length === probabilities.length, {
    error: 'logits and probabilities must have the same length',
  })
  .refine((knots) => isRising(knots.logits) && isRising(knots.probabilities), {
    error: 'logits and probabilities must not fall',
  });

function isRising(values: number[]): boolean {
  return values.every((value, i) => i === 0 || value >= values[i - 1]!);
}

const fraction = z.number().min(0).max(1);
const cutPointsSchema = z
  .strictObject({ moderate: fraction, high: fraction })
  .refine(({ moderate, high }) => moderate <= high, { error: 'moderate must not be above high' });

export const cutPointSetsSchema = z.strictObject({
  soft: cutPointsSchema,
  regular: cutPointsSchema,
  hardened: cutPointsSchema,
});

/** The tool that made it describes the data and its figures in its own form. */
const facts = z.record(z.string(), z.json());

const plattShape = {
  method: z.literal('platt'),
  platt: z.strictObject({ slope: z.number().positive(), intercept: z.number() }),
  data: facts,
  figures: facts,
};
const isotonicShape = {
  method: z.literal('isotonic'),
  isotonic: knotsSchema,
  data: facts,
  figures: facts,
};
const fileShape = {
  format: z.literal('livegate-calibration/1'),
  profile: z.string(),
  model: z.string(),
  cut_points: cutPointSetsSchema,
};

const plattSchema = z.strictObject(plattShape);
const isotonicSchema = z.strictObject(isotonicShape);

export const calibrationSchema = z.discriminatedUnion('method', [plattSchema, isotonicSchema]);

const fileSchema = z.discriminatedUnion('method', [
  z.strictObject({ ...fileShape, ...plattShape }),
  z.strictObject({ ...fileShape, ...isotonicShape }),
]);
