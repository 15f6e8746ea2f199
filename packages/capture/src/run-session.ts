import { sleep, withAbort } from './abort.js';
import type { Emit } from './capture-events.js';
import type { FindFaces } from './faces/find-faces.js';
import {
  goTo,
  showEnd,
  showFailure,
  showHint,
  showProgress,
  showSending,
} from './screen/outcomes.js';
import type { Screen } from './screen/screen.js';
import type { Texts } from './screen/texts.js';
import { createSessionClient, SessionError, type SessionState } from './session-client.js';
import { takePhoto } from './take-photo.js';

export interface RunSessionDeps {
  screen: Screen;
  emit: Emit;
  /** The `url` of the session. */
  session: string;
  faceFinder: Promise<FindFaces | undefined>;
  textsFor: (locale: string | null) => Texts;
  signal: AbortSignal;
}

const ELSEWHERE_POLL_MS = 3000;

/** The gateway refused this photo, and takes another one. */
const photoProblems = ['invalid_image', 'image_too_large', 'unsupported_media_type'];

/**
 * One person, from the first look at the state of the session to its end:
 *
 *     read the state ▶ take a photo ▶ send it ▶ finished, or a hint and another photo
 *
 * Rejects with an AbortError when the signal aborts.
 */
export async function runSession(deps: RunSessionDeps): Promise<void> {
  const { screen, emit, session, signal } = deps;
  const shown = { screen, emit, texts: deps.textsFor(null), canCancel: false };
  const onProgress = showProgress(shown);
  const client = createSessionClient({ session, signal, onProgress });

  for (;;) {
    try {
      const { title, loading } = shown.texts;
      void screen.show({ name: 'loading', title, text: loading, actions: [] });
      let state = await client.readState();
      shown.texts = deps.textsFor(state.locale);
      if (state.checking) showSending(shown);
      state = await client.untilIdle(state);
      while (state.status === 'PENDING') {
        shown.canCancel = state.can_cancel;
        const next = await takeAndSend(state);
        if (next === 'cancel') return goBack();
        state = next;
      }
      return await showEnd(shown, state, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof SessionError)) throw error;
      const choice = await showFailure(shown, error.code);
      if (choice === 'cancel') return goBack();
    }
  }

  /** Resolves to the state after one photo, once the person has read its hint. */
  async function takeAndSend(before: SessionState): Promise<SessionState | 'cancel'> {
    if (before.photos_left === 0) throw new SessionError('session_exhausted');
    const goesOnElsewhere = (until: AbortSignal) => waitElsewhere(before, until);
    const taken = await takePhoto({ ...deps, ...shown, address: session, goesOnElsewhere });
    if (taken === 'cancel') return 'cancel';
    if (taken === 'elsewhere') {
      showSending(shown);
      return client.untilIdle(await client.readState());
    }
    const { picture, photo } = taken;
    const cancel = showSending(shown, picture).then(() => 'cancel' as const);
    // Leaving aborts the upload; the gateway drops a check that it has begun.
    const state = await withAbort(signal, (until) => {
      const sender = createSessionClient({ session, signal: until, onProgress });
      const sent = sender.sendPhoto(photo, before).catch((error: unknown) => problemOf(error));
      return Promise.race([sent, cancel]);
    });
    if (state === 'cancel') return state;
    const code = typeof state === 'string' ? state : state.hint?.code;
    const isOpen = typeof state === 'string' || state.status === 'PENDING';
    if (isOpen && code && (await showHint(shown, code, picture)) === 'cancel') return 'cancel';
    return typeof state === 'string' ? client.readState() : state;
  }

  async function waitElsewhere(before: SessionState, until: AbortSignal): Promise<void> {
    const quiet = createSessionClient({ session, signal: until, onProgress: () => undefined });
    for (;;) {
      await sleep(ELSEWHERE_POLL_MS, until);
      const { checking, photos_left, status } = await quiet.readState();
      if (checking || photos_left < before.photos_left || status === 'FINISHED') return;
    }
  }

  async function goBack(): Promise<void> {
    const redirect = (await client.cancel()) ?? null;
    if (emit('livegate-cancel', { redirect })) goTo(redirect);
  }
}

/** The code of a problem with the photo. Rethrows every other error. */
function problemOf(error: unknown): string {
  if (error instanceof SessionError && photoProblems.includes(error.code)) return error.code;
  throw error;
}
