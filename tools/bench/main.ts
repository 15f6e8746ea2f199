// npm run bench -- [part…] [--seconds 8] [--rounds 3] [--out docs/explanation/performance] [--python DIR]:
// measures all performance figures. bootstrap.mjs has already installed and built, and changed to the
// repository's root.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { readWorkerConfig } from '@livegate/worker/config';
import { type Bench, type Part, describeFigures, type Figure } from './bench.js';
import { measurePython } from './parts/python.js';
import { measureProfile } from './parts/profile.js';
import { measureAudit } from './parts/audit.js';
import { measureCandidates } from './parts/candidates/compare.js';
import { measureClassifier, measureEngineSettings, measurePhotoSizes } from './parts/engine.js';
import { measureEncryption } from './parts/encryption.js';
import { measureCurve } from './load/curve.js';
import { measureStages } from './parts/stages.js';
import { measureGateways, measureRedisCost } from './parts/gateways.js';
import { measureLatency, measureOwnCores, measureThroughput } from './load/throughput.js';
import { measureOverhead } from './parts/overhead.js';
import { measureFairness } from './load/fairness.js';
import { measureOverload } from './load/overload.js';
import { measureRefusals } from './load/refusals.js';
import { measureSwap } from './parts/swap.js';
import { measureMemory, measureRecords, measureUploads } from './parts/memory.js';
import { makePhotos } from './photos.js';
import { measureGpuLike, measureQueueMemory, measurePriorities } from './parts/queue.js';
import { prepareModels } from '../models/prepare-models.js';
import { nativeEnv } from '../dev/processes.js';
import { openPipeline } from '../open-pipeline.js';
import { startTemporaryRedis } from '../dev/find-or-start-redis.js';

const parts: Record<string, Part> = {
  classifier: measureClassifier,
  throughput: measureThroughput,
  'own-cores': measureOwnCores,
  latency: measureLatency,
  overhead: measureOverhead,
  photos: measurePhotoSizes,
  settings: measureEngineSettings,
  stages: measureStages,
  'gpu-like': measureGpuLike,
  'queue-memory': measureQueueMemory,
  gateways: measureGateways,
  priorities: measurePriorities,
  redis: measureRedisCost,
  records: measureRecords,
  uploads: measureUploads,
  curve: measureCurve,
  swap: measureSwap,
  memory: measureMemory,
  audit: measureAudit,
  profile: measureProfile,
  python: measurePython,
  encryption: measureEncryption,
  overload: measureOverload,
  refusals: measureRefusals,
  fairness: measureFairness,
  candidates: measureCandidates,
};

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '8' },
    rounds: { type: 'string', default: '3' },
    out: { type: 'string', default: '.data/bench' },
    python: { type: 'string' },
    // Allowed here and read by tools/dev/install-program.ts.
    install: { type: 'boolean' },
  },
});
await bench(positionals.length > 0 ? positionals : Object.keys(parts));
process.exit(0);

async function bench(names: string[]): Promise<void> {
  const unknown = names.filter((name) => !(name in parts));
  if (unknown.length > 0) {
    const known = Object.keys(parts).join(', ');
    throw new Error(`unknown part ${unknown.join(', ')}: use some of ${known}`);
  }
  await mkdir(options.out, { recursive: true });
  const redis = await startTemporaryRedis('bench', console.error);
  try {
    const prepared = await prepareBench(redis.url);
    const machine = describeMachine(prepared);
    console.log(machine);
    const figures = await measureParts(names, prepared);
    await prepared.pipeline.close();
    console.log(`\n${describeFigures(figures)}`);
  } finally {
    await redis.stop();
  }
}

async function measureParts(names: string[], prepared: Bench): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const name of names) {
    console.log(`\n${name}`);
    const ofPart = await parts[name]!(prepared, console.log);
    if (ofPart.length > 0 && names.length > 1) console.log(describeFigures(ofPart));
    if (ofPart.length > 0) await record(name, prepared, ofPart);
    figures.push(...ofPart);
  }
  return figures;
}

/** Adds a part to what earlier runs have measured, in place of the same part. */
async function record(part: string, prepared: Bench, figures: Figure[]): Promise<void> {
  const file = join(options.out, 'bench.json');
  const others = JSON.parse(await readFile(file, 'utf8').catch(() => '{}')) as object;
  const measured = { date: new Date().toISOString(), machine: describeMachine(prepared), figures };
  await writeFile(file, `${JSON.stringify({ ...others, [part]: measured }, null, 2)}\n`);
}

/** Measures the engine layout once, so that all programs use the same. */
async function prepareBench(redisUrl: string): Promise<Bench> {
  const modelsDir = resolve(process.env['LIVEGATE_MODELS_DIR'] || '.data/models');
  await prepareModels(modelsDir, console.error);
  const config = readWorkerConfig({ ...process.env, LIVEGATE_MODELS_DIR: modelsDir });
  const photos = await makePhotos();
  const pipeline = await openPipeline(config);
  const { layout } = pipeline;
  return {
    env: {
      ...nativeEnv,
      REDIS_URL: redisUrl,
      LIVEGATE_MODELS_DIR: modelsDir,
      LIVEGATE_LOG_LEVEL: 'fatal',
      LIVEGATE_ENGINES: `${layout.engines}`,
      LIVEGATE_INTRA_OP_THREADS: `${layout.intraOpThreads}`,
      LIVEGATE_MAX_BATCH: `${layout.maxBatch}`,
    },
    modelsDir,
    layout,
    pipeline,
    photos,
    seconds: Number(options.seconds),
    rounds: Number(options.rounds),
    pythonDir: options.python,
    outDir: options.out,
  };
}

function describeMachine({ layout }: Bench): string {
  const [cpu] = cpus();
  const { engines, intraOpThreads, maxBatch } = layout;
  return (
    `${cpus().length} x ${cpu?.model.trim()}, Node ${process.versions.node}; ` +
    `${engines} engines x ${intraOpThreads} threads, up to ${maxBatch} images per batch`
  );
}
