/**
 * Hints that a photo did not come from the page's live camera. Each can be forged or missed by an
 * attacker who controls the browser, and each can happen to an honest person: none is a verdict.
 */
export const sessionSignals = [
  /** A file was chosen instead of a frame of the camera. */
  'file_upload',
  /** The photo came without the facts that the page sends. */
  'no_capture_facts',
  /** The frame was taken too long before it was sent, or before the session existed. */
  'stale_frame',
  /** The bytes equal an earlier photo of this session. */
  'replayed_frame',
  /** The bytes equal a photo of another session of the tenant within a day. */
  'repeated_image',
  /** The camera's label names a virtual camera. */
  'virtual_camera',
  /** The frames came without the noise in time that a camera has. */
  'steady_frames',
  /** A photo was sent without a token of the page, and was refused. */
  'no_page_token',
] as const;

export type SessionSignal = (typeof sessionSignals)[number];

/** What the page reports about the capture of a photo. The label of the camera stays in the browser. */
export interface CaptureFacts {
  source?: 'camera' | 'file' | undefined;
  /** Age of the frame when the page sent it, by the browser's monotonic clock. */
  frameAgeMs?: number | undefined;
  /** How many frames the page has seen of this camera. */
  frames?: number | undefined;
  /** Standard deviation of the time between them. */
  frameJitterMs?: number | undefined;
  camera?: 'physical' | 'virtual' | 'unknown' | undefined;
}

/** Longer than a person looks at the photo before they send it. */
const MAX_FRAME_AGE_MS = 5 * 60_000;
/** Fewer frames can have equal distances by chance. */
const MIN_FRAMES = 30;
/**
 * Browsers round their clocks to 0.1 ms or 1 ms, which alone gives the frames of a real camera more
 * jitter, unless its period is a multiple of the rounding.
 */
const MIN_JITTER_MS = 0.01;

/** The signals in the facts of one photo, of a session that is `sessionAgeMs` old. */
export function findSignals(facts: CaptureFacts, sessionAgeMs: number): SessionSignal[] {
  const { source, frameAgeMs, frames, frameJitterMs, camera } = facts;
  if (source === 'file') return ['file_upload'];
  const isComplete = [frameAgeMs, frames, frameJitterMs].every((fact) => fact !== undefined);
  if (source === undefined || !isComplete) return ['no_capture_facts'];
  const signals: SessionSignal[] = [];
  const age = frameAgeMs ?? 0;
  if (age < 0 || age > Math.min(MAX_FRAME_AGE_MS, sessionAgeMs)) signals.push('stale_frame');
  if (camera === 'virtual') signals.push('virtual_camera');
  if ((frames ?? 0) >= MIN_FRAMES && (frameJitterMs ?? 0) < MIN_JITTER_MS) {
    signals.push('steady_frames');
  }
  return signals;
}
