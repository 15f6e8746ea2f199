import type { ErrorCode } from './errors.js';
import type { Verdict } from './verdict.js';

/**
 * Version of everything that api and worker exchange through Redis: job data, blobs, replies.
 * A process that finds another version in Redis refuses to work rather than misread it.
 */
export const SCHEMA_VERSION = 1;

/** What travels in the queue for one check: ids and small facts, never image bytes. */
export interface CheckJob {
  version: number;
  /** The tenant whose credentials sent the image. */
  tenant: string;
  /** Address of the gateway that waits for the outcome; absent when nobody does. */
  replyTo?: string;
  /** Where this one check is to be announced, beside the tenant's own webhook endpoints. */
  webhookUrl?: string;
  imageBytes: number;
}

/** How long the stages of one check took, in milliseconds. */
export interface StageTimings {
  decodeMs: number;
  detectMs: number;
  classifyMs: number;
  /** From the moment a worker took the job until its verdict. */
  workerMs: number;
}

/** To a tenth of a millisecond: more is noise. */
export function roundMs(ms: number): number {
  return Math.round(ms * 10) / 10;
}

/** A finished check, as the queue stores it: the caller's answer, and how it came about. */
export interface CheckResult {
  verdict: Verdict;
  /** Name, version and short hash of the models used: the `Livegate-Model` header. */
  model: string;
  timings: StageTimings;
}

/** How a check ended: with a verdict of any kind, or without one and why. */
export type CheckOutcome = { result: CheckResult } | { error: ErrorCode };
