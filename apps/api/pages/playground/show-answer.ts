import { qualityHints, qualityLimits } from '@livegate/core/browser';
import type { Answer, ModelSet, Quality } from './ask.js';
import { byId, make } from '../elements.js';

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
  showVerdict({ state: 'waiting', title: 'Checking…', hint: 'The image is on its way.' });
  for (const id of ['scale', 'quality', 'timings']) byId(id, HTMLElement).hidden = true;
}

/** The gateway could not be reached, or the browser cannot read the image. */
export function showFailure(reason: string): void {
  showVerdict({ state: 'error', title: 'No answer', hint: reason });
}

/** Shows the verdict, the score between the cut points, the quality and the timings. */
export function showAnswer(answer: Answer, cuts?: CutPoints): void {
  const { verdict, error, headers, totalMs } = answer;
  if (error) {
    showVerdict({ state: 'error', title: error.error_code, hint: error.error_message });
  } else if (verdict) {
    const { status } = verdict.result;
    const [title, hint] = meanings[status] ?? [status, ''];
    showVerdict({ state: verdict.status === 'success' ? status : 'failed', title, hint });
  }
  if (verdict?.status === 'success' && cuts) showScale(verdict.result.spoof_percentage, cuts);
  if (verdict?.result.quality) showQuality(verdict.result.quality);
  showTimings(headers['Server-Timing'] ?? timesOfJob(answer), totalMs);
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
  const marks = [
    [moderate, 'MODERATE'],
    [high, 'HIGH'],
  ] as const;
  const labels = marks.map(([cut, name]) => {
    const mark = make('span', { className: name }, `${name} from ${cut}`);
    mark.style.left = percent(cut);
    return mark;
  });
  fill('scale', [
    make('h3', {}, 'spoof_percentage ', make('output', {}, String(score))),
    track,
    make('div', { className: 'marks' }, make('span', { className: 'LOW' }, 'LOW'), ...labels),
  ]);
}

const meaningsOfMeasures: Record<string, string> = {
  inside: 'of the widest view',
  margin: 'free space, in faces',
  offset: 'from the center',
  lightest: 'highlights, of 255',
  white: 'overexposed share',
  blur: 'of edges, in faces',
  turn: 'tilt of the head',
  rotation: 'put upright, degrees',
  face_pixels: 'its longer side',
};

function showQuality({ codes, measures }: Quality): void {
  const chips =
    codes.length === 0
      ? [make('li', { className: 'good' }, 'nothing makes this verdict weak')]
      : codes.map((code) => make('li', {}, make('b', {}, code), ` ${hints[code] ?? ''}`));
  const rows = Object.entries(measures).map(([name, value]) => {
    const meaning = meaningsOfMeasures[name] ?? '';
    const limit = limitOf(name);
    const row = make(
      'li',
      {},
      make('b', {}, name),
      make('span', {}, meaning),
      make('output', {}, String(value)),
      make('small', {}, limit?.text ?? ''),
    );
    row.classList.toggle('weak', limit?.isBroken(value) ?? false);
    return row;
  });
  fill('quality', [
    make('h3', {}, 'Image quality'),
    make('ul', { className: 'codes' }, ...chips),
    make('ul', { className: 'measures' }, ...rows),
  ]);
}

const hints: Record<string, string> = qualityHints;
const limits: Record<string, number> = qualityLimits;

/** The limit of a measure, such as `minFacePixels` of `face_pixels`. */
function limitOf(measure: string) {
  const name = measure.replaceAll(/(?:^|_)(\w)/g, (_, letter: string) => letter.toUpperCase());
  const [least, most] = [limits[`min${name}`], limits[`max${name}`]];
  if (least !== undefined) {
    return { text: `at least ${least}`, isBroken: (value: number) => value < least };
  }
  if (most === undefined) return undefined;
  return { text: `at most ${most}`, isBroken: (value: number) => value > most };
}

/** A job has times instead of the header. */
function timesOfJob({ body }: Answer): string | undefined {
  const { created_at, started_at, finished_at } = body as Record<string, string | undefined>;
  if (!created_at || !started_at || !finished_at) return undefined;
  const [created, started, finished] = [created_at, started_at, finished_at].map(Date.parse);
  return `queue;dur=${started! - created!}, processing;dur=${finished! - started!}`;
}

/** `Server-Timing` in milliseconds: "upload;dur=1.2, queue;dur=3". Each stage follows the one before. */
function showTimings(header: string | undefined, totalMs: number): void {
  if (header === undefined) return;
  const stages = [...header.matchAll(/(\w+);dur=([\d.]+)/g)].map(
    ([, name = '', ms]) => [name, Number(ms)] as const,
  );
  const sums = new Set(['total', 'browser']);
  const longest = Math.max(totalMs, ...stages.map(([, ms]) => ms));
  let begun = 0;
  const rows = [...stages, ['browser', totalMs] as const].flatMap(([name, ms]) => {
    const bar = make('div', { className: sums.has(name) ? 'bar-fill sum' : 'bar-fill' });
    bar.style.width = percent(ms / longest);
    if (!sums.has(name)) {
      bar.style.marginLeft = percent(Math.min(begun / longest, 1 - ms / longest));
      begun += ms;
    }
    return [
      make('span', {}, name),
      make('div', { className: 'lane' }, bar),
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
