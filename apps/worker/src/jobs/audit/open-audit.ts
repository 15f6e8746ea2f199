import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { ModelSetFacts } from '@livegate/core/domain';
import {
  type Keys,
  openRedisAuditSink,
  readLatestAuditLine,
  type Redis,
} from '@livegate/core/redis';
import type { Log } from '@livegate/core/telemetry';
import type { WorkerConfig } from '../../config.js';
import { createObserveAudit } from '../../telemetry/observe-audit.js';
import { headOf, parseAuditKey, parseLine } from './audit-chain.js';
import { openAuditFile, readFolderHeads } from './audit-file.js';
import { type AuditTrail, type AuditTrailDeps, openAuditTrail } from './audit-trail.js';
import { type AuditConstants, describeCheck, type EndingCheck } from './audited-check.js';

const require = createRequire(import.meta.url);
const { version } = require('@livegate/worker/package.json') as { version: string };

export interface AuditDeps {
  worker: string;
  /** The set that answers checks now; a check that was assessed has its own. */
  currentSet(): ModelSetFacts;
  redis: Redis;
  keys: Keys;
  log: Log;
}

export interface Audit extends Pick<AuditTrail, 'findProblem' | 'close'> {
  /** See `AuditTrail.record`. */
  record(check: EndingCheck): Promise<void>;
}

/** Opens the audit that is configured; without one, records nothing. Throws if it cannot be written. */
export async function openAudit(config: WorkerConfig, deps: AuditDeps): Promise<Audit> {
  if (config.LIVEGATE_AUDIT === 'off') return noAudit;
  const { worker, currentSet, log } = deps;
  const keyFile = config.LIVEGATE_AUDIT_KEY_FILE;
  const { models, cutPoints } = currentSet();
  const options = {
    worker,
    key: keyFile === undefined ? undefined : parseAuditKey(readFileSync(keyFile)),
    isRequired: config.LIVEGATE_AUDIT_REQUIRED,
    facts: { version, models, cut_points: cutPoints },
  };
  const destination =
    config.LIVEGATE_AUDIT === 'file' ? toFolder(config.LIVEGATE_AUDIT_DIR) : toStream(config, deps);
  const trail = await openAuditTrail(options, {
    ...destination,
    observe: createObserveAudit(),
    log,
  });
  return {
    record(check) {
      const modelSet = 'assessment' in check.end ? check.end.modelSet : currentSet();
      return trail.record(describeCheck(check, describeConstants(config, modelSet)));
    },
    findProblem: trail.findProblem,
    close: trail.close,
  };
}

const noAudit: Audit = {
  record: async () => undefined,
  findProblem: () => undefined,
  close: async () => undefined,
};

function describeConstants(
  config: WorkerConfig,
  { profile, models, cutPoints, calibration }: ModelSetFacts,
): AuditConstants {
  return {
    version,
    models,
    cut_points: cutPoints,
    settings: {
      ...(profile !== undefined && { profile }),
      ...(calibration && { calibration: calibration.id }),
      execution_provider: config.LIVEGATE_EXECUTION_PROVIDER,
      face_score_threshold: config.LIVEGATE_FACE_SCORE_THRESHOLD,
      min_face_ratio: config.LIVEGATE_MIN_FACE_RATIO,
      max_image_pixels: config.LIVEGATE_MAX_IMAGE_PIXELS,
    },
  };
}

type Destination = Pick<AuditTrailDeps, 'openSink' | 'findPrevious'>;

function toFolder(folder: string): Destination {
  return {
    openSink: (chain) => openAuditFile(folder, chain),
    findPrevious: () => readFolderHeads(folder),
  };
}

function toStream(config: WorkerConfig, { redis, keys }: AuditDeps): Destination {
  const maxLines = config.LIVEGATE_AUDIT_STREAM_MAX_LINES;
  return {
    openSink: async (chain) => openRedisAuditSink({ redis, keys, maxLines }, chain),
    async findPrevious() {
      const latest = parseLine(await readLatestAuditLine(redis, keys));
      return latest ? [headOf(latest)] : [];
    },
  };
}
