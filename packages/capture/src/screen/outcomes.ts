import { sleep } from '../abort.js';
import type { Emit } from '../capture-events.js';
import type { Progress, SessionState } from '../session-client.js';
import type { Action, Screen, View } from './screen.js';
import { hintText, type TextKey, type Texts } from './texts.js';

/** What the views around a photo need. */
export interface Shown {
  screen: Screen;
  texts: Texts;
  emit: Emit;
  /** Whether the person may go back, which only the session's tenant decides. */
  canCancel: boolean;
}

/** Time to read the verdict before the page goes on by itself; the button does not wait. */
const VERDICT_MS = 5000;

const cancelAction = ({ texts, canCancel }: Shown): Action[] =>
  canCancel ? [{ name: 'cancel', label: texts.cancel }] : [];

/** Shows the photo while it is on its way. Resolves when the person goes back. */
export async function showSending(shown: Shown, picture?: View['stage']): Promise<void> {
  const { screen, texts } = shown;
  await screen.show({
    name: 'sending',
    title: texts.title,
    text: picture ? texts.uploading : texts.checking,
    ...(picture && { stage: picture }),
    progress: picture ? texts.uploading : texts.checking,
    actions: cancelAction(shown),
  });
}

/** Tells the person and the host how far the photo is. */
export function showProgress(shown: Shown): (progress: Progress) => void {
  let before = '';
  return (progress) => {
    const { screen, texts, emit } = shown;
    const share = progress.phase === 'uploading' ? progress.share : undefined;
    screen.setProgress(share);
    screen.say(describe(progress, texts));
    if (share === undefined && progress.phase === before) return;
    before = progress.phase;
    emit('livegate-progress', { phase: progress.phase, ...(share !== undefined && { share }) });
  };
}

function describe(progress: Progress, texts: Texts): string {
  if (progress.phase !== 'waiting') return texts[progress.phase];
  return texts.waiting_seconds.replace('{seconds}', String(progress.seconds));
}

/** Resolves when the person wants to take another photo, or to go back. */
export async function showHint(
  shown: Shown,
  code: string,
  picture: NonNullable<View['stage']>,
): Promise<string> {
  const { screen, texts, emit } = shown;
  const text = hintText(texts, code);
  emit('livegate-hint', { code, text });
  const { name } = await screen.show({
    name: 'hint',
    title: texts.hint_title,
    text,
    stage: picture,
    actions: [{ name: 'retake', label: texts.retake, isMain: true }, ...cancelAction(shown)],
  });
  return name;
}

/** Goes to `success_redirect`, unless the host prevents that or the session has none. */
export async function showEnd(
  { screen, texts, emit }: Shown,
  { success_redirect: redirect, verdict }: SessionState,
  signal: AbortSignal,
): Promise<void> {
  const isGoing = emit('livegate-result', { redirect, verdict }) && redirect !== null;
  const thanks = isGoing ? texts.done_redirect : texts.done;
  const choice = screen.show({
    name: 'done',
    title: texts.done_title,
    text: verdict ? `${texts[`verdict_${verdict}`]} ${thanks}` : thanks,
    actions: isGoing ? [{ name: 'continue', label: texts.continue, isMain: true }] : [],
  });
  if (!isGoing) return;
  if (verdict) await Promise.race([choice, sleep(VERDICT_MS, signal)]);
  goTo(redirect);
}

/** Resolves when the person tries again or goes back; never after an error that is final. */
export async function showFailure(shown: Shown, code: string): Promise<string> {
  const { screen, texts, emit } = shown;
  const isFinal = ['session_expired', 'session_exhausted', 'not_found'].includes(code);
  emit('livegate-error', { code, isFinal });
  const retry: Action = { name: 'retry', label: texts.retry, isMain: true };
  const { name } = await screen.show({
    name: isFinal ? 'ended' : 'failed',
    title: isFinal ? texts.ended_title : texts.failed_title,
    text: isFinal ? texts[code as TextKey] : texts.failed,
    actions: [...(isFinal ? [] : [retry]), ...cancelAction(shown)],
  });
  return name;
}

/** Replaces the page, so that the browser's back button does not lead into the finished session. */
export function goTo(redirect: string | null): void {
  if (redirect !== null && /^https?:\/\//i.test(redirect)) location.replace(redirect);
}
