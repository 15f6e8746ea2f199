import { readFile } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import {
  asRefusal,
  decideVerdict,
  LivegateError,
  type ModelFacts,
  type ModelSetFacts,
} from '@livegate/core/domain';
import type { WorkerConfig } from '@livegate/worker/config';
import {
  type AuditedCheck,
  type AuditedOutcome,
  type AuditedSettings,
  describeOutcome,
  hashImage,
} from '@livegate/worker/jobs/audit/audited-check';
import type { ImageScheduler } from '@livegate/worker/scheduling/schedule-images';
import { openPipeline } from '../open-pipeline.js';
import { listFiles } from './read-audit.js';
import type { PlacedLine } from './verify-chains.js';

/** A record and what the same image gives now. */
export interface ReplayedCheck {
  source: string;
  line: number;
  id: string;
  state: ReplayState;
  recorded: string;
  replayed: string;
  /** Largest difference of a score or a logit; absent without two of them. */
  difference?: number;
}

export type ReplayState =
  | 'proven'
  | 'different'
  /** The recorded status does not follow from the recorded score and cut points. */
  | 'contradictory'
  | 'no image'
  | 'other models'
  | 'other calibration';

export interface ReplayOptions {
  config: WorkerConfig;
  /** Largest difference of a score or a logit that still proves it. */
  tolerance: number;
  open?: (config: WorkerConfig) => Promise<ImageScheduler>;
}

/** Judges the images of the records again, with the settings and cut points of each record. */
export async function replayChecks(
  lines: PlacedLine[],
  images: Map<string, string>,
  options: ReplayOptions,
): Promise<ReplayedCheck[]> {
  const { config, open = openPipeline } = options;
  const checks = lines.flatMap(({ payload, source, number }) =>
    payload?.kind === 'check' ? [{ source, line: number, check: payload }] : [],
  );
  const settings = new Set(checks.map(({ check }) => JSON.stringify(check.settings)));
  const replayed: ReplayedCheck[] = [];
  for (const each of settings) {
    const own = checks.filter(({ check }) => JSON.stringify(check.settings) === each);
    const pipeline = await open(applySettings(config, JSON.parse(each) as AuditedSettings));
    const replay = async ({ check, source, line }: (typeof checks)[number]) => {
      const path = images.get(check.image?.sha256 ?? '');
      const answer = await replayCheck(check, path, { pipeline, ...options });
      return { source, line, id: check.id, ...answer };
    };
    try {
      for (let i = 0; i < own.length; i += pipeline.concurrency) {
        const together = own.slice(i, i + pipeline.concurrency);
        replayed.push(...(await Promise.all(together.map(replay))));
      }
    } finally {
      await pipeline.close();
    }
  }
  return replayed;
}

/** The paths of the files below a folder, by the SHA-256 of their bytes. */
export async function indexImages(folder: string): Promise<Map<string, string>> {
  const images = new Map<string, string>();
  for (const path of await listFiles(folder)) images.set(hashImage(await readFile(path)), path);
  return images;
}

/** The execution provider stays that of this machine. */
function applySettings(config: WorkerConfig, settings: AuditedSettings): WorkerConfig {
  return {
    ...config,
    LIVEGATE_PROFILE: settings.profile ?? config.LIVEGATE_PROFILE,
    LIVEGATE_FACE_SCORE_THRESHOLD: settings.face_score_threshold,
    LIVEGATE_MIN_FACE_RATIO: settings.min_face_ratio,
    LIVEGATE_MAX_IMAGE_PIXELS: settings.max_image_pixels,
  };
}

type Answer = Omit<ReplayedCheck, 'source' | 'line' | 'id'>;

async function replayCheck(
  check: AuditedCheck,
  path: string | undefined,
  { pipeline, tolerance }: ReplayOptions & { pipeline: ImageScheduler },
): Promise<Answer> {
  const recorded = describe(check.outcome);
  if (!followsFromScore(check)) return { state: 'contradictory', recorded, replayed: '' };
  if (path === undefined) return { state: 'no image', recorded, replayed: '' };
  const other = findOtherModels(check, pipeline.modelSets().current);
  if (other) return other;
  const end = await pipeline.assess(await readFile(path)).catch(requireRefusal);
  const outcome = describeOutcome(end, check.cut_points);
  const difference = measureDifference(check.outcome, outcome);
  const isSame = isDeepStrictEqual(exactPart(check.outcome), exactPart(outcome));
  return {
    state: isSame && (difference ?? 0) <= tolerance ? 'proven' : 'different',
    recorded,
    replayed: describe(outcome),
    ...(difference !== undefined && { difference }),
  };
}

/** With either, the same image has another score, which proves nothing. */
function findOtherModels(check: AuditedCheck, current: ModelSetFacts): Answer | undefined {
  const [theirs, ours] = [check.models, current.models].map(describeFiles);
  if (theirs !== ours) return { state: 'other models', recorded: theirs!, replayed: ours! };
  const recorded = check.settings.calibration ?? 'none';
  const replayed = current.calibration?.id ?? 'none';
  return recorded === replayed ? undefined : { state: 'other calibration', recorded, replayed };
}

function describeFiles(models: ModelFacts[]): string {
  return models.map(({ name, version, sha256 }) => `${name}/${version}+${sha256}`).join(', ');
}

function requireRefusal(error: unknown): LivegateError {
  if (error instanceof LivegateError && asRefusal(error)) return error;
  throw error;
}

/** A forged status or percentage is found without the image. */
function followsFromScore({ outcome, cut_points }: AuditedCheck): boolean {
  if (outcome.kind !== 'scored') return true;
  const { spoof_probability: spoofProbability, status, spoof_percentage } = outcome;
  if (!(spoofProbability >= 0 && spoofProbability <= 1)) return false;
  const verdict = decideVerdict({ kind: 'scored', spoofProbability }, cut_points);
  return isDeepStrictEqual(verdict, {
    kind: 'scored',
    spoofProbability: spoof_percentage,
    status,
  });
}

/** What must be the same on every machine. */
function exactPart(outcome: AuditedOutcome): unknown {
  if (outcome.kind === 'refused') return [outcome.kind, outcome.error];
  return outcome.kind === 'scored' ? [outcome.kind, outcome.status] : [outcome.kind];
}

/** Infinite where one has a score or a view that the other lacks. */
function measureDifference(a: AuditedOutcome, b: AuditedOutcome): number | undefined {
  if (a.kind !== 'scored' || b.kind !== 'scored') return undefined;
  const [before, now] = [listScores(a), listScores(b)];
  if (before.length !== now.length) return Infinity;
  const differences = before.map(([name, value], i) =>
    now[i]![0] === name ? Math.abs(value - now[i]![1]) : Infinity,
  );
  return Math.max(...differences);
}

function listScores(outcome: Extract<AuditedOutcome, { kind: 'scored' }>): [string, number][] {
  const views = outcome.views.map(({ model, view, logit }): [string, number] => [
    `${model} ${view}`,
    logit,
  ]);
  return [['score', outcome.spoof_probability], ...views];
}

function describe(outcome: AuditedOutcome): string {
  if (outcome.kind === 'refused') return outcome.error;
  return outcome.kind === 'scored' ? `${outcome.status} ${outcome.spoof_percentage}` : outcome.kind;
}
