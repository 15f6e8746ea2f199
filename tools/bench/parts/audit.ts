import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectForBackground, createKeys } from '@livegate/core/redis';
import { createLog } from '@livegate/core/telemetry';
import { readWorkerConfig } from '@livegate/worker/config';
import { openAudit } from '@livegate/worker/jobs/audit/open-audit';
import { formatTable } from '../../format-table.js';
import { type Bench, type Figure, formatNumber, type Part } from '../bench.js';
import { interleave, median, medianRatio, percentile, repeatWork } from '../rounds.js';

/** Checks that end at the same time in a busy worker of two cores. */
const AT_ONCE = 8;
const KINDS = ['file', 'stream'] as const;

/** Measures what an audit record costs, beside the assessment of its image. */
export const measureAudit: Part = async (bench, say) => {
  const folder = await mkdtemp(join(tmpdir(), 'livegate-audit-'));
  const record = (kind: string, atOnce: number) => () =>
    measureRecords(bench, atOnce, {
      LIVEGATE_AUDIT: kind,
      LIVEGATE_AUDIT_DIR: folder,
      LIVEGATE_KEY_PREFIX: '{bench-audit}',
    });
  try {
    const costs = await interleave<string, Cost>(bench.rounds, {
      'assessment, 8 at a time': () => measureAssessments(bench),
      'file, 1 at a time': record('file', 1),
      'file, 8 at a time': record('file', AT_ONCE),
      'stream, 1 at a time': record('stream', 1),
      'stream, 8 at a time': record('stream', AT_ONCE),
    });
    say(describeCosts(costs));
    const cpuOf = (name: string) => costs[`${name}, 8 at a time`]!.map(({ cpuMs }) => cpuMs);
    return KINDS.map((kind): Figure => ({
      name: `CPU of an audit record in a ${kind} / of the assessment`,
      value: medianRatio(cpuOf(kind), cpuOf('assessment')),
      unit: 'x',
      aim: { atMost: 0.02 },
    }));
  } finally {
    await rm(folder, { recursive: true });
  }
};

interface Cost {
  /** Of this process: without Redis. */
  cpuMs: number;
  p50Ms: number;
  p99Ms: number;
}

async function measureAssessments(bench: Bench): Promise<Cost> {
  const image = bench.photos.selfie;
  return await measureWork(bench, AT_ONCE, () => bench.pipeline.assess(image));
}

async function measureRecords(bench: Bench, atOnce: number, env: Record<string, string>) {
  const config = readWorkerConfig({ ...bench.env, ...env });
  const log = createLog('worker', 'fatal');
  const redis = connectForBackground({ url: config.REDIS_URL, name: 'bench' }, log);
  const keys = createKeys(config.LIVEGATE_KEY_PREFIX);
  const currentSet = () => bench.pipeline.modelSets().current;
  const worker = `bench-${crypto.randomUUID()}`;
  const audit = await openAudit(config, { worker, currentSet, redis, keys, log });
  const image = bench.photos.selfie;
  const end = await bench.pipeline.assess(image);
  const check = { id: crypto.randomUUID(), tenant: 'bench', takenAt: 0, image, end };
  const cost = await measureWork(bench, atOnce, () => audit.record(check));
  await audit.close();
  redis.disconnect();
  return cost;
}

async function measureWork(
  { seconds }: Bench,
  concurrency: number,
  work: () => Promise<unknown>,
): Promise<Cost> {
  const before = process.cpuUsage();
  const { latenciesMs } = await repeatWork(work, { concurrency, seconds });
  const { user, system } = process.cpuUsage(before);
  return {
    cpuMs: (user + system) / 1000 / latenciesMs.length,
    p50Ms: percentile(latenciesMs, 0.5),
    p99Ms: percentile(latenciesMs, 0.99),
  };
}

function describeCosts(costs: Record<string, Cost[]>): string {
  const lines = Object.entries(costs).map(([name, rounds]) => [
    name,
    ...(['cpuMs', 'p50Ms', 'p99Ms'] as const).map((key) =>
      formatNumber(median(rounds.map((cost) => cost[key]))),
    ),
  ]);
  return formatTable(['', 'CPU ms', 'p50 ms', 'p99 ms'], lines);
}
