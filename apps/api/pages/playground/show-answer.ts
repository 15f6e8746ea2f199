import type { Answer, ModelSet, Quality } from './ask.js';
import { byId, make } from './elements.js';

type CutPoints = ModelSet['thresholds'];

const meanings: Record<string, [title: string, hint: string]> = {
  LOW: ['Looks live', 'The face is most likely real.'],
  MODERATE: ['Uncertain', 'Ask for another picture, or for a person to look.'],
  HIGH: ['Likely a spoof', 'A print, a screen or a mask is likely.'],
  'face not detected': ['No face found', 'The image was not scored.'],
  'too many faces detected': ['Several faces', 'The image was not scored. Send a single face.'],
};

/** Shows that the check runs. */
export function showWaiting(): void {
  showVerdict({ state: 'waiting', title: 'Checking…', hint: 'The image waits for a worker.' });
  for (const id of ['scale', 'quality', 'timings']) byId(id, HTMLElement).hidden = true;
}

/** The gateway could not be reached, or the browser cannot read the image. */
export function showFailure(reason: string): void {
  showVerdict({ state: 'error', title: 'No answer', hint: reason });
}

/** Shows the verdict, the score between the cut points, the quality and the timings. */
export function showAnswer({ verdict, error, headers, totalMs }: Answer, cuts?: CutPoints): void {
  if (error) {
    showVerdict({ state: 'error', title: error.error_code, hint: error.error_message });
  } else if (verdict) {
    const { status } = verdict.result;
    const [title, hint] = meanings[status] ?? [status, ''];
    showVerdict({ state: verdict.status === 'success' ? status : 'failed', title, hint });
  }
  if (verdict?.status === 'success' && cuts) showScale(verdict.result.spoof_percentage, cuts);
  if (verdict?.result.quality) showQuality(verdict.result.quality);
  showTimings(headers['Server-Timing'], totalMs);
}

export function addHint(text: string): void {
  byId('hint', HTMLElement).append(` ${text}`);
}

function showVerdict({ state, title, hint }: { state: string; title: string; hint: string }): void {
  byId('verdict', HTMLElement).dataset['state'] = state;
  byId('status', HTMLElement).textContent = title;
  byId('hint', HTMLElement).textContent = hint;
}

function showScale(score: number, { moderate, high }: CutPoints): void {
  const needle = make('div', { className: 'needle' });
  needle.style.left = percent(score);
  const track = make('div', { className: 'track' }, needle);
  track.style.setProperty('--moderate-at', percent(moderate));
  track.style.setProperty('--high-at', percent(high));
  const marks = [moderate, high].map((cut) => {
    const mark = make('span', {}, String(cut));
    mark.style.left = percent(cut);
    return mark;
  });
  fill('scale', [
    make('h3', {}, `spoof_percentage ${score}`),
    track,
    make('div', { className: 'marks' }, ...marks),
  ]);
}

function showQuality({ codes, measures }: Quality): void {
  const chips =
    codes.length === 0
      ? [make('li', { className: 'good' }, 'nothing makes this verdict weak')]
      : codes.map((code) => make('li', {}, code));
  const rows = Object.entries(measures).flatMap(([name, value]) => [
    make('span', {}, name),
    make('span', {}),
    make('span', { className: 'number' }, String(value)),
  ]);
  fill('quality', [
    make('h3', {}, 'Image quality'),
    make('ul', { className: 'codes' }, ...chips),
    make('div', { className: 'rows' }, ...rows),
  ]);
}

/** `Server-Timing` in milliseconds: "upload;dur=1.2, queue;dur=3". */
function showTimings(header: string | undefined, totalMs: number): void {
  if (header === undefined) return;
  const stages = [...header.matchAll(/(\w+);dur=([\d.]+)/g)].map(
    ([, name = '', ms]) => [name, Number(ms)] as const,
  );
  const longest = Math.max(totalMs, ...stages.map(([, ms]) => ms));
  const rows = [...stages, ['browser', totalMs] as const].flatMap(([name, ms]) => {
    const bar = make('div', { className: 'bar-fill' });
    bar.style.width = percent(ms / longest);
    return [
      make('span', {}, name),
      make('div', {}, bar),
      make('span', { className: 'number' }, `${ms.toFixed(1)} ms`),
    ];
  });
  fill('timings', [
    make('h3', {}, 'Where the time went'),
    make('div', { className: 'rows' }, ...rows),
  ]);
}

function fill(id: string, children: Node[]): void {
  const card = byId(id, HTMLElement);
  card.replaceChildren(...children);
  card.hidden = false;
}

function percent(share: number): string {
  return `${Math.round(1000 * share) / 10}%`;
}
