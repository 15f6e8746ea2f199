import {
  canMove,
  type CheckRecord,
  isFinished,
  LivegateError,
  type QualityPolicy,
  strongestPolicy,
} from '@livegate/core/domain';
import type { CheckQueue } from '@livegate/core/ports';
import type { Request, RequestHandler, Response } from 'express';
import { readPreference, readQualityPolicy } from '../contract/preference.js';
import { presentJob, setQualityHeader } from '../contract/present-check.js';
import { RETRY_AFTER_SECONDS } from '../contract/present-error.js';
import { baseUrlOf } from '../http/base-url.js';
import { signalClose } from '../http/responses.js';
import type { AwaitCheck } from './await-check.js';
import type { CancelCheck, DeleteCheck } from './end-check.js';

export interface JobRoutesOptions {
  /** The longest time that a long poll is held open. */
  waitLimitMs: number;
  publicUrl: string | undefined;
}

export interface JobRoutesDeps {
  queue: CheckQueue;
  awaitCheck: AwaitCheck;
  cancelCheck: CancelCheck;
  deleteCheck: DeleteCheck;
}

interface ReadJob {
  record: CheckRecord;
  /** Of this request and its credential. */
  policy: QualityPolicy;
  publicUrl: string | undefined;
}

const jobId = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** The handlers of `/v1/jobs/{id}`: read (with a long poll), cancel, delete. */
export function createJobRoutes(options: JobRoutesOptions, deps: JobRoutesDeps) {
  const { queue, awaitCheck, cancelCheck, deleteCheck } = deps;
  const { publicUrl } = options;

  const read: RequestHandler = async (req, res) => {
    const { waitMs } = readPreference(req, options.waitLimitMs);
    const policy = readQualityPolicy(req, res.locals.credential.quality);
    const record = await findOwn(req, res);
    if (waitMs === undefined) return sendJob(req, res, { record, policy, publicUrl });
    const latest = await awaitCheck(record.id, { waitMs, closed: signalClose(res) });
    res.set('Preference-Applied', `wait=${Math.floor(waitMs / 1000)}`);
    // It may have been deleted while we waited.
    sendJob(req, res, { record: requireOwn(latest, res), policy, publicUrl });
  };

  const cancel: RequestHandler = async (req, res) => {
    const record = await findOwn(req, res);
    const canceled = canMove(record.status, 'canceled') && (await cancelCheck(record));
    if (!canceled) throw new LivegateError('already_finished');
    // Without a verdict, so no policy applies.
    sendJob(req, res, { record: await findOwn(req, res), policy: 'header', publicUrl });
  };

  const remove: RequestHandler = async (req, res) => {
    const record = await findOwn(req, res);
    await deleteCheck(record);
    res.json({ id: record.id, deleted: true });
  };

  return { read, cancel, remove };

  /** Throws the same `not_found` for ids that are malformed, unknown, expired or another tenant's. */
  async function findOwn(req: Request, res: Response): Promise<CheckRecord> {
    const id = String(req.params['id']);
    return requireOwn(jobId.test(id) ? await queue.read(id) : undefined, res);
  }

  function requireOwn(record: CheckRecord | undefined, res: Response): CheckRecord {
    const isOwn = record?.tenant === res.locals.credential.tenant;
    // The check of a hosted session: only the session shows its verdict.
    if (!record || !isOwn || record.sid !== undefined) throw new LivegateError('not_found');
    return record;
  }
}

function sendJob(req: Request, res: Response, { record, policy, publicUrl }: ReadJob): void {
  if (!isFinished(record.status)) res.set('Retry-After', String(RETRY_AFTER_SECONDS));
  // A reader may demand more than the request that made the check, and never less.
  const applied = strongestPolicy(record.qualityPolicy, policy);
  const job = presentJob(record, baseUrlOf(req, publicUrl), applied);
  res.locals.outcome = job.status;
  setQualityHeader(res, record.outcome);
  res.json(job);
}
