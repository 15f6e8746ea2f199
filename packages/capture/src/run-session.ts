import { sleep, withAbort } from './abort.js';
import type { Emit } from './capture-events.js';
import type { FindFaces, FindPoints } from './faces/find-faces.js';
import {
  goTo,
  showEnd,
  showFailure,
  showHint,
  showProgress,
  showSending,
  type Shown,
} from './screen/outcomes.js';
import type { Screen } from './screen/screen.js';
import type { Texts } from './screen/texts.js';
import { SessionClient, SessionError, type SessionState } from './session-client.js';
import { takePhoto } from './take-photo.js';

export interface RunSessionDeps {
  screen: Screen;
  emit: Emit;
  /** The `url` of the session. */
  session: string;
  /** Loads the face detector at its first call. */
  faceFinder: () => Promise<FindFaces | undefined>;
  /** Loads the model for the points of a face at its first call. */
  facePoints: () => Promise<FindPoints | undefined>;
  textsFor: (locale: string | null) => Texts;
  signal: AbortSignal;
}

const ELSEWHERE_POLL_MS = 3000;

/** The gateway refused this photo, and takes another one. */
const photoProblems = new Set([
  'empty_image',
  'image_dimensions_exceeded',
  'image_too_large',
  'invalid_image',
  'unsupported_image_type',
]);

/**
 * One person, from the first look at the state of the session to its end:
 *
 *     read the state ▶ take a photo ▶ send it ▶ finished, or a hint and another photo
 *
 * Rejects with an AbortError when the signal aborts.
 */
export async function runSession(deps: RunSessionDeps): Promise<void> {
  const run = new SessionRun(deps);
  for (;;) {
    try {
      return await run.toEnd();
    } catch (error) {
      deps.signal.throwIfAborted();
      if (!(error instanceof SessionError)) throw error;
      await run.untilRetry(error.code);
    }
  }
}

class SessionRun {
  private readonly shown: Shown;
  private readonly client: SessionClient;
  /** The person has chosen to go back; only the gateway has yet to say where. */
  private isLeaving = false;

  constructor(private readonly deps: RunSessionDeps) {
    const { screen, emit, textsFor, signal } = deps;
    this.shown = { screen, emit, texts: textsFor(null), canCancel: false };
    this.client = this.clientUntil(signal);
  }

  async toEnd(): Promise<void> {
    const { shown, client, deps } = this;
    const { title, loading } = shown.texts;
    void shown.screen.show({ name: 'loading', title, text: loading, actions: [] });
    if (this.isLeaving) return this.leave();
    const state = await client.readState();
    shown.texts = deps.textsFor(state.locale);
    shown.canCancel = state.can_cancel;
    // Another tab may have sent a photo.
    let next = state.checking ? await this.waitForCheck() : state;
    while (next !== 'cancel' && next.status === 'PENDING') next = await this.takeAndSend(next);
    return next === 'cancel' ? this.leave() : showEnd(shown, next, deps.signal);
  }

  /** Resolves when it makes sense to begin again; never after an error that is final. */
  async untilRetry(code: string): Promise<void> {
    // Finished while the person went back: the end of the session is what counts.
    if (code === 'session_finished') this.isLeaving = false;
    else this.isLeaving = (await showFailure(this.shown, code)) === 'cancel';
  }

  /** Resolves to the state after one photo, once the person has read its hint. */
  private async takeAndSend(before: SessionState): Promise<SessionState | 'cancel'> {
    if (before.photos_left === 0) throw new SessionError('session_exhausted');
    const { deps, shown } = this;
    const taken = await takePhoto({
      ...deps,
      ...shown,
      address: deps.session,
      goesOnElsewhere: (until) => this.waitElsewhere(before, until),
    });
    if (taken === 'cancel') return taken;
    if (taken === 'elsewhere') return this.waitForCheck();
    const { picture, photo } = taken;
    const after = await this.orCancel(showSending(shown, picture), (until) =>
      this.clientUntil(until).sendPhoto(photo, before).catch(problemOf),
    );
    if (after === 'cancel') return after;
    const isProblem = 'problem' in after;
    const code = isProblem ? after.problem : after.hint?.code;
    const isOver = !isProblem && after.status === 'FINISHED';
    if (code && !isOver && (await showHint(shown, code, picture)) === 'cancel') return 'cancel';
    return isProblem ? this.client.readState() : after;
  }

  private waitForCheck(): Promise<SessionState | 'cancel'> {
    return this.orCancel(showSending(this.shown), async (until) => {
      const client = this.clientUntil(until);
      return client.untilIdle(await client.readState());
    });
  }

  /** Going back aborts the work; the gateway drops a check that it has begun. */
  private orCancel<Result>(
    cancel: Promise<void>,
    work: (until: AbortSignal) => Promise<Result>,
  ): Promise<Result | 'cancel'> {
    const canceled = cancel.then(() => 'cancel' as const);
    return withAbort(this.deps.signal, (until) => Promise.race([work(until), canceled]));
  }

  private async waitElsewhere(before: SessionState, until: AbortSignal): Promise<void> {
    const client = this.clientUntil(until, () => undefined);
    for (;;) {
      await sleep(ELSEWHERE_POLL_MS, until);
      const { checking, photos_left, status } = await client.readState();
      if (checking || photos_left < before.photos_left || status === 'FINISHED') return;
    }
  }

  private async leave(): Promise<void> {
    this.isLeaving = true;
    const redirect = (await this.client.cancel()) ?? null;
    if (this.deps.emit('livegate-cancel', { redirect })) goTo(redirect);
  }

  private clientUntil(signal: AbortSignal, onProgress = showProgress(this.shown)): SessionClient {
    return new SessionClient({ session: this.deps.session, signal, onProgress });
  }
}

/** A problem with the photo itself, for which the person gets a hint. Rethrows every other error. */
function problemOf(error: unknown): { problem: string } {
  if (error instanceof SessionError && photoProblems.has(error.code)) {
    return { problem: error.code };
  }
  throw error;
}
