import { randomBytes, randomInt } from 'node:crypto';
import type { CheckOutcome, CheckResult } from '../check.js';
import { LivegateError } from '../errors.js';
import type { FaceCountFailure, SpoofStatus } from '../verdict.js';
import { isOwnToken } from './page-tokens.js';
import type { SessionSignal } from './session-signals.js';

/**
 * A hosted session: one person, sent to the capture page by its tenant, and the verdict on them.
 *
 *     PENDING ──first LOW, or the last try──▶ FINISHED
 *
 * A check that scores a good picture costs a try. A picture without exactly one face, a weak one,
 * and a check that failed by a fault of ours cost none, and give the person a hint instead. An
 * expired session keeps its state and takes no more photos.
 */
export type SessionStatus = 'PENDING' | 'FINISHED';

/**
 * Why the latest photo did not end the session: a quality code, or `face_not_detected`,
 * `too_many_faces`, `invalid_image`, `check_failed`, `try_again`.
 */
export type SessionHint = string;

/** The verdict on a photo that cost a try. */
export interface SessionVerdict {
  spoofProbability: number;
  status: SpoofStatus;
}

/** What its tenant decides about a new session. Times are milliseconds. */
export interface NewSession {
  tenant: string;
  /** Absent when the tenant gave none: the page then says only that it is done. */
  successUrl?: string;
  cancelUrl?: string;
  maxTries: number;
  ttlMs: number;
  /** The tenant's own id: returned as it is, never a key. */
  reference?: string;
  /** Whether the page may show the class of the verdict. */
  tellUser: boolean;
  /** BCP 47; absent: the page chooses by the browser's languages. */
  locale?: string;
  /** The rate that photos of this session count against; 0 means no limit. */
  tenantRatePerMinute: number;
}

/** Times are milliseconds since the epoch. */
export interface Session extends Omit<NewSession, 'ttlMs'> {
  /** 32 letters and digits: the page needs no other credential. */
  sid: string;
  /** The page, at the address by which the tenant reached the gateway. */
  url: string;
  status: SessionStatus;
  createdAt: number;
  expiresAt: number;
  /** Photos with a score so far. */
  tries: number;
  /** Photos that were checked so far, with or without a score. */
  photos: number;
  /** The check that is running; a session has one at a time. */
  running?: RunningPhoto | undefined;
  /** The lowest score so far; it becomes the result. */
  best?: SessionVerdict;
  hint?: SessionHint | undefined;
  finishedAt?: number;
  /** Without repetitions, in order of appearance. */
  signals: SessionSignal[];
  /** Keyed hashes of its photos, so that a deletion can remove their marks. */
  imageMacs: string[];
  /** Signs this session's page tokens. */
  tokenKey: string;
  usedTokens: string[];
}

export interface RunningPhoto {
  checkId: string;
  startedAt: number;
  /** The page token that it used. */
  token: string;
}

/** Limits the photos that cost no try. */
export const MAX_PHOTOS = 30;

/** A check that is not in the queue this long after its photo was accepted was never queued. */
const LOST_AFTER_MS = 15_000;

const sidLength = 32;
const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

/** 190 random bits. */
export function createSid(): string {
  return Array.from({ length: sidLength }, () => letters[randomInt(letters.length)]).join('');
}

export function isSid(text: string): boolean {
  return /^[A-Za-z0-9]{32}$/.test(text);
}

export function createSession(
  { ttlMs, ...kept }: NewSession,
  { sid, url, now }: { sid: string; url: string; now: number },
): Session {
  return {
    ...kept,
    sid,
    url,
    status: 'PENDING',
    createdAt: now,
    expiresAt: now + ttlMs,
    tries: 0,
    photos: 0,
    signals: [],
    imageMacs: [],
    tokenKey: randomBytes(32).toString('base64url'),
    usedTokens: [],
  };
}

export function triesLeft({ status, maxTries, tries }: Session): number {
  return status === 'FINISHED' ? 0 : maxTries - tries;
}

/**
 * Throws why the session takes no photo now: `session_finished`, `session_expired`,
 * `session_exhausted` or `session_busy`.
 */
export function requireOpen(session: Session, now: number): void {
  if (session.status === 'FINISHED') throw new LivegateError('session_finished');
  if (session.expiresAt <= now) throw new LivegateError('session_expired');
  if (session.photos >= MAX_PHOTOS) throw new LivegateError('session_exhausted');
  if (session.running) throw new LivegateError('session_busy');
}

export interface NewPhoto {
  checkId: string;
  /** The page token that came with it. */
  token: string;
  imageMac: string;
  signals: SessionSignal[];
  now: number;
}

/** Uses up the token. Throws like `requireOpen`, and `page_token_refused` for a bad or used token. */
export function beginPhoto(session: Session, photo: NewPhoto): Session {
  const { checkId, token, imageMac, now } = photo;
  requireOpen(session, now);
  const isUsed = session.usedTokens.includes(token);
  if (isUsed || !isOwnToken(session, token)) throw new LivegateError('page_token_refused');
  const replayed: SessionSignal[] = session.imageMacs.includes(imageMac) ? ['replayed_frame'] : [];
  return addSignals(
    {
      ...session,
      photos: session.photos + 1,
      running: { checkId, startedAt: now, token },
      hint: undefined,
      imageMacs: [...new Set([...session.imageMacs, imageMac])],
      usedTokens: [...session.usedTokens, token],
    },
    [...photo.signals, ...replayed],
  );
}

/** The session as if this photo, whose check was never queued, had not been sent. */
export function undoPhoto(session: Session, checkId: string): Session {
  const { running } = session;
  if (running?.checkId !== checkId) return session;
  return {
    ...session,
    photos: session.photos - 1,
    running: undefined,
    usedTokens: session.usedTokens.filter((token) => token !== running.token),
  };
}

/** Whether the running photo's check, which is not in the queue, will never be. */
export function isLost({ running }: Session, now: number): boolean {
  return running !== undefined && running.startedAt + LOST_AFTER_MS < now;
}

/**
 * Records how a photo's check ended. Does nothing for a check that is not the running one: its end
 * may be noticed by several gateways, and counts once.
 */
export function settlePhoto(
  session: Session,
  { id, outcome }: { id: string; outcome: CheckOutcome },
  now: number,
): Session {
  if (session.running?.checkId !== id) return session;
  const settled = { ...session, running: undefined };
  const verdict = scoreOf(outcome);
  if (typeof verdict === 'string') return { ...settled, hint: verdict };
  const tries = session.tries + 1;
  const best = lower(session.best, verdict);
  const isLast = verdict.status === 'LOW' || tries >= session.maxTries;
  if (!isLast) return { ...settled, tries, best, hint: 'try_again' };
  return { ...settled, tries, best, hint: undefined, status: 'FINISHED', finishedAt: now };
}

/** The verdict that costs a try, or the hint for a photo that costs none. */
function scoreOf(outcome: CheckOutcome): SessionVerdict | SessionHint {
  if ('error' in outcome) {
    return outcome.error === 'invalid_image' ? 'invalid_image' : 'check_failed';
  }
  const { verdict } = outcome.result;
  if (verdict.kind !== 'scored') return faceCountHints[verdict.kind];
  const { spoofProbability, status } = verdict;
  return weaknessOf(outcome.result) ?? { spoofProbability, status };
}

const faceCountHints = {
  no_face: 'face_not_detected',
  too_many_faces: 'too_many_faces',
} as const satisfies Record<FaceCountFailure, SessionHint>;

/** The first quality code: sessions enforce the quality of a picture, also of one that scores LOW. */
function weaknessOf(result: CheckResult): string | undefined {
  return result.quality?.codes[0];
}

function lower(best: SessionVerdict | undefined, next: SessionVerdict): SessionVerdict {
  return best && best.spoofProbability <= next.spoofProbability ? best : next;
}

export function addSignals(session: Session, signals: SessionSignal[]): Session {
  return { ...session, signals: [...new Set([...session.signals, ...signals])] };
}
