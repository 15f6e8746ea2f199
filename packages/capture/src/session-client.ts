import { sleep } from './abort.js';
import type { CameraKind } from './camera/choose-camera.js';

/** What the gateway says about the session (docs/reference/sessions.md, "For the page"). */
export interface SessionState {
  status: 'PENDING' | 'FINISHED';
  checking: boolean;
  tries_left: number;
  photos_left: number;
  expired: number;
  hint: { code: string; message: string } | null;
  token: string | null;
  success_redirect: string | null;
  can_cancel: boolean;
  verdict: 'LOW' | 'MODERATE' | 'HIGH' | null;
  locale: string | null;
}

/** What is known about how a photo was taken. */
export type CaptureFacts =
  | { source: 'file' }
  | {
      source: 'camera';
      /** By `performance.now()`. */
      at: number;
      frames: number;
      jitterMs: number;
      camera: Exclude<CameraKind, 'infrared'>;
    };

export interface Photo {
  image: Blob;
  facts: CaptureFacts;
}

/** What to tell the person while they wait. */
export type Progress =
  | { phase: 'uploading'; share: number }
  | { phase: 'checking' }
  | { phase: 'waiting'; seconds: number }
  | { phase: 'offline' };

/** An answer that ends the attempt: its `error_code`, or `failed` after the last retry. */
export class SessionError extends Error {
  constructor(readonly code: string) {
    super(code);
  }
}

/** `status` is 0 when no answer came. */
interface Answer {
  status: number;
  body: Partial<SessionState> & { error_code?: string; cancel_redirect?: string };
  retryAfterMs: number | undefined;
}

/** About two minutes with the gateway's usual `Retry-After`; then the person decides. */
const MAX_ATTEMPTS = 12;
const MAX_WAIT_MS = 60_000;
const POLL_MS = 1000;

export interface ClientOptions {
  /** The `url` of the session, without query and fragment. */
  session: string;
  /** Aborts all requests and waits, which then reject with an AbortError. */
  signal: AbortSignal;
  onProgress: (progress: Progress) => void;
}

/** The requests of one session, repeated as long as that makes sense. */
export class SessionClient {
  constructor(private readonly options: ClientOptions) {}

  /** Throws `SessionError`. */
  async readState(): Promise<SessionState> {
    return (await this.insist('GET', 'state')) as SessionState;
  }

  /** Resolves to the URL to go back to. Throws `SessionError`. */
  async cancel(): Promise<string | undefined> {
    return (await this.insist('POST', 'cancel')).cancel_redirect;
  }

  /** The state once no photo is being checked, this tab's or another one's. */
  async untilIdle(state: SessionState): Promise<SessionState> {
    let latest = state;
    while (latest.checking) {
      this.options.onProgress({ phase: 'checking' });
      await sleep(POLL_MS, this.options.signal);
      latest = await this.readState();
    }
    return latest;
  }

  /**
   * Sends the photo once and resolves to the state after it. An answer that says the photo was not
   * accepted is followed by the same photo, with the same token or, where that is used up, a new one.
   * Throws `SessionError`.
   */
  async sendPhoto(photo: Photo, before: SessionState): Promise<SessionState> {
    let state = before;
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
      if (state.token === null) return this.untilIdle(state);
      const answer = await this.upload(photo, state.token);
      const { error_code: code = '' } = answer.body;
      if (answer.status === 200) return this.untilIdle(answer.body as SessionState);
      if (!isFinal(answer.status)) await this.pause(answer, attempt);
      else if (!outdated.has(code)) throw new SessionError(code || 'failed');
      // The photo may have arrived although its answer did not, or another tab sent one.
      state = await this.untilIdle(await this.readState());
      if (state.status === 'FINISHED' || state.photos_left < before.photos_left) return state;
    }
    throw new SessionError('failed');
  }

  /** Repeats a request that may be repeated. */
  private async insist(method: string, path: string): Promise<Answer['body']> {
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
      const answer = await this.request(method, path);
      if (answer.status === 200) return answer.body;
      if (isFinal(answer.status)) throw new SessionError(answer.body.error_code ?? 'failed');
      await this.pause(answer, attempt);
    }
    throw new SessionError('failed');
  }

  /** As long as the gateway asks for; without an answer, a bit longer each time. */
  private async pause({ status, retryAfterMs }: Answer, attempt: number): Promise<void> {
    const { onProgress, signal } = this.options;
    const ms = Math.min(retryAfterMs ?? 500 * 2 ** attempt, MAX_WAIT_MS);
    if (status === 0) onProgress({ phase: 'offline' });
    else onProgress({ phase: 'waiting', seconds: Math.ceil(ms / 1000) });
    await sleep(ms, signal);
  }

  private async request(method: string, path: string): Promise<Answer> {
    const { session, signal } = this.options;
    try {
      const options = { method, signal, cache: 'no-store', credentials: 'omit' } as const;
      const response = await fetch(`${session}/${path}`, options);
      const text = await response.text();
      return toAnswer(response.status, text, response.headers.get('retry-after'));
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof TypeError) return toAnswer(0, '', null);
      throw error;
    }
  }

  /** XMLHttpRequest, because `fetch` does not tell the progress of an upload. */
  private async upload({ image, facts }: Photo, token: string): Promise<Answer> {
    const { session, signal, onProgress } = this.options;
    const xhr = new XMLHttpRequest();
    const abort = () => xhr.abort();
    signal.addEventListener('abort', abort);
    onProgress({ phase: 'uploading', share: 0 });
    xhr.upload.addEventListener('progress', ({ loaded, total }) => {
      const share = loaded / total;
      onProgress(share < 1 ? { phase: 'uploading', share } : { phase: 'checking' });
    });
    xhr.open('POST', `${session}/photo`);
    xhr.send(toForm(image, token, facts));
    await new Promise((resolve) => {
      xhr.addEventListener('loadend', resolve);
    });
    signal.removeEventListener('abort', abort);
    signal.throwIfAborted();
    return toAnswer(xhr.status, xhr.responseText, xhr.getResponseHeader('retry-after'));
  }
}

/** The page knows less than the gateway: the state says how to go on. */
const outdated = new Set(['page_token_refused', 'session_busy', 'session_finished']);

/** 408, 429 and 5xx pass; no answer at all may be a gap in the network. */
function isFinal(status: number): boolean {
  return status >= 400 && status < 500 && status !== 408 && status !== 429;
}

function toAnswer(status: number, text: string, retryAfter: string | null): Answer {
  const seconds = Number(retryAfter ?? NaN);
  const retryAfterMs = seconds >= 0 ? Math.max(seconds, 1) * 1000 : undefined;
  try {
    return { status, body: JSON.parse(text) as Answer['body'], retryAfterMs };
  } catch {
    // A proxy on the way answered, or nobody did.
    return { status: status === 200 ? 502 : status, body: {}, retryAfterMs };
  }
}

function toForm(image: Blob, token: string, facts: CaptureFacts): FormData {
  const form = new FormData();
  form.set('token', token);
  form.set('source', facts.source);
  if (facts.source === 'camera') {
    form.set('frame_age_ms', (performance.now() - facts.at).toFixed(3));
    form.set('frames', String(facts.frames));
    form.set('frame_jitter_ms', facts.jitterMs.toFixed(3));
    form.set('camera', facts.camera);
  }
  // Last: the gateway can judge the fields before the image has arrived.
  form.set('image', image);
  return form;
}
