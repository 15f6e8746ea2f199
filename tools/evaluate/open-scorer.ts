// What judges the images: the worker's pipeline in this process, or a running server.
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type CutPoints,
  describeModels,
  LivegateError,
  type ModelSetFacts,
} from '@livegate/core/domain';
import { readWorkerConfig, type WorkerConfig } from '@livegate/worker/config';
import { setTimeout as sleep } from 'node:timers/promises';
import { prepareModels } from '../models/prepare-models.js';
import { openPipeline } from '../open-pipeline.js';

/** What the system answered about one image. */
export interface Judgement {
  /** `scored`, `no_face`, `too_many_faces`, or the code of the error. */
  outcome: string;
  /** P(spoof), 0..1, of a scored image; a server rounds it to five decimals. */
  score?: number;
  /** log(P / (1 - P)) before any calibration. Absent from a server. */
  logit?: number;
  /** Codes of what makes the verdict weak. */
  quality: string[];
  /** Milliseconds until the answer, and of its stages. */
  ms: number;
  stages: Record<string, number>;
}

export interface ScorerFacts {
  /** As in the `Livegate-Model` header. */
  model: string;
  profile: string;
  cutPoints: CutPoints;
  /** `in process`, or the server's URL. */
  where: string;
  /** Short hash of the models' description and the rules for faces. Unknown of a server. */
  settings?: string;
}

export interface Scorer {
  facts: ScorerFacts;
  /** Images that it takes at once. Unlimited for a server, which refuses what it cannot take. */
  concurrency: number;
  /** Rejects only when the evaluation cannot go on. */
  judge(image: Uint8Array): Promise<Judgement>;
  close(): Promise<void>;
}

/** Opens the worker's pipeline with these settings. */
export async function openLocalScorer(env: NodeJS.ProcessEnv): Promise<Scorer> {
  const config = readWorkerConfig(env);
  await prepareModels(config.LIVEGATE_MODELS_DIR, console.error);
  const pipeline = await openPipeline(config);
  const modelSet = pipeline.modelSets().current;
  const { profile, models, cutPoints } = modelSet;
  return {
    facts: {
      model: describeModels(models),
      profile: profile ?? 'default',
      cutPoints,
      where: 'in process',
      settings: await hashSettings(config, modelSet),
    },
    concurrency: pipeline.concurrency,
    async judge(image) {
      const started = performance.now();
      try {
        const { assessment, timings } = await pipeline.assess(image);
        const ms = performance.now() - started;
        const { decodeMs: decode, detectMs: detect, classifyMs: classify } = timings;
        const answer = { outcome: assessment.kind, ms, stages: { decode, detect, classify } };
        if (assessment.kind !== 'scored') return { ...answer, quality: [] };
        const { spoofProbability: score, logit, quality } = assessment;
        return { ...answer, score, logit, quality: quality.codes };
      } catch (error) {
        if (!(error instanceof LivegateError)) throw error;
        return failed(error.code, performance.now() - started);
      }
    },
    close: () => pipeline.close(),
  };
}

/** The names of models do not tell how views are cropped, averaged and calibrated; this does. */
async function hashSettings(config: WorkerConfig, { profile, calibration }: ModelSetFacts) {
  const folder = config.LIVEGATE_MODELS_DIR;
  const names = (await readdir(folder))
    .filter((name) => /^(catalogue|own)\.json$/.test(name))
    .toSorted();
  const texts = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')));
  const rules = [config.LIVEGATE_FACE_SCORE_THRESHOLD, config.LIVEGATE_MIN_FACE_RATIO];
  const all = JSON.stringify([names, texts, rules, profile, calibration]);
  return createHash('sha256').update(all).digest('hex').slice(0, 8);
}

function failed(outcome: string, ms: number): Judgement {
  return { outcome, quality: [], ms, stages: {} };
}

export interface ServerOptions {
  /** Without `/face/v1`. */
  url: string;
  username: string;
  password: string;
  apiKey: string;
}

/** Throws an Error if the server does not answer, or has two model sets during an upgrade. */
export async function openServerScorer(options: ServerOptions): Promise<Scorer> {
  const url = options.url.replace(/\/+$/, '');
  const facts = await readServerFacts(url);
  const basic = Buffer.from(`${options.username}:${options.password}`).toString('base64');
  const headers = { authorization: `Basic ${basic}`, 'x-api-key': options.apiKey };
  return {
    facts,
    concurrency: Infinity,
    async judge(image) {
      const body = new FormData();
      body.set('image', new Blob([Uint8Array.from(image)]), 'image');
      const { response, ms } = await post(`${url}/face/v1/passive-liveness`, { headers, body });
      const answer = (await response.json()) as Answer;
      if (response.status === 401 || response.status === 403) {
        throw new Error(`${url} refused the credentials: ${answer.error_message}`);
      }
      const model = response.headers.get('livegate-model');
      if (model && model !== facts.model) {
        throw new Error(`the server changed its model from ${facts.model} to ${model}`);
      }
      return readAnswer(answer, response.headers, ms);
    },
    close: async () => {},
  };
}

interface Answer {
  status: 'success' | 'failed';
  result?: { spoof_percentage: number; status: string };
  error_code?: string;
  error_message?: string;
}

interface ModelSets {
  model_sets?: { livegate_model: string; profile?: string; thresholds: CutPoints }[];
}

async function readServerFacts(url: string): Promise<ScorerFacts> {
  const response = await reach(`${url}/v1/models`);
  if (!response.ok)
    throw new Error(`${url}/v1/models answered ${response.status}: is a worker up?`);
  const { model_sets: sets = [] } = (await response.json()) as ModelSets;
  const [set] = sets;
  if (!set || sets.length > 1) throw new Error(`${url} has ${sets.length} model sets in force`);
  return {
    model: set.livegate_model,
    profile: set.profile ?? 'default',
    cutPoints: { moderate: set.thresholds.moderate, high: set.thresholds.high },
    where: url,
  };
}

async function reach(url: string, init?: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init);
  } catch (cause) {
    throw new Error(`${url} does not answer; run the same command again to continue`, { cause });
  }
}

const MAX_TRIES = 30;

/** 429, 503 and 504 say nothing about the image: it is sent again after `Retry-After`. */
async function post(url: string, init: RequestInit): Promise<{ response: Response; ms: number }> {
  for (let tries = 1; ; tries++) {
    const started = performance.now();
    const response = await reach(url, { ...init, method: 'POST' });
    const ms = performance.now() - started;
    if (![429, 503, 504].includes(response.status)) return { response, ms };
    await response.body?.cancel();
    if (tries === MAX_TRIES) throw new Error(`${url} answered ${response.status} ${tries} times`);
    await sleep(1000 * Number(response.headers.get('retry-after') ?? 1));
  }
}

function readAnswer(
  { status, result, error_code }: Answer,
  headers: Headers,
  ms: number,
): Judgement {
  if (!result) return failed(error_code ?? 'internal_error', ms);
  const quality = headers.get('livegate-quality')?.split(/,\s*/) ?? [];
  const rest = { quality, ms, stages: readServerTiming(headers.get('server-timing') ?? '') };
  if (status === 'success') return { outcome: 'scored', score: result.spoof_percentage, ...rest };
  const noFace = result.status === 'face not detected';
  return { outcome: noFace ? 'no_face' : 'too_many_faces', ...rest };
}

/** `decode;dur=3.1, detect;dur=2` in milliseconds. */
function readServerTiming(header: string): Record<string, number> {
  const stages = [...header.matchAll(/([\w-]+);dur=([\d.]+)/g)];
  return Object.fromEntries(stages.map(([, name, ms]) => [name!, Number(ms)]));
}
