import {
  type Answer,
  ask,
  type Credential,
  developmentCredential,
  type ModelSet,
  readModels,
} from './ask.js';
import { chooseImages, type Picked } from './choose-image.js';
import { createPhotoCanvas } from './draw-photo.js';
import { byId, make } from '../elements.js';
import { addHint, showAnswer, showFailure, showWaiting } from './show-answer.js';
import { createCodeTabs } from './show-code.js';

// One image goes: choose-image ▶ draw-photo ▶ ask ▶ show-answer and show-code.

const photo = createPhotoCanvas();
const code = createCodeTabs();
const options = byId('options', HTMLFormElement);
for (const [name, value] of Object.entries(developmentCredential)) inputOf(name).value = value;
let latest = 0;

chooseImages((picked) => void check(picked).catch((error: unknown) => showFailure(String(error))));

async function check({ image, name, isDrawn }: Picked): Promise<void> {
  const turn = ++latest;
  const credential = readCredential();
  const isAsync = new FormData(options).get('mode') === 'async';
  const exchange = { credential, fileName: name, isAsync, answer: undefined };
  await photo.show(image);
  if (turn !== latest) return;
  showWaiting();
  code.show(exchange);
  const onState = isAsync ? followStates() : undefined;
  const [answer, sets] = await Promise.all([ask(image, { credential, onState }), readModels()]);
  // A newer image was chosen meanwhile.
  if (turn !== latest) return;
  const set = findSet(answer, sets);
  showAnswer(answer, set?.thresholds);
  if (isDrawn) addHint('This face is drawn by code, so its score means nothing. Draw another one.');
  code.show({ ...exchange, answer });
  markFace(answer, set);
}

function readCredential(): Credential {
  const [username, password, key] = ['username', 'password', 'key'].map((n) => inputOf(n).value);
  return { username: username!, password: password!, key: key! };
}

function inputOf(name: string): HTMLInputElement {
  return options.elements.namedItem(name) as HTMLInputElement;
}

/** The models that made the answer; a job does not name them. */
function findSet({ headers }: Answer, sets: ModelSet[] | undefined): ModelSet | undefined {
  return sets?.find((set) => set.livegate_model === headers['Livegate-Model']) ?? sets?.[0];
}

/** The views of several classifiers may be the same. */
function markFace({ verdict }: Answer, set: ModelSet | undefined): void {
  const quality = verdict?.result.quality;
  if (!quality) return photo.mark(undefined);
  const all = set?.models.flatMap(({ views = [] }) => views) ?? [];
  const distinct = new Map(all.map((view) => [`${view.scale} ${view.fill}`, view]));
  const views = [...distinct.values()];
  views.sort((a, b) => a.scale - b.scale);
  photo.mark({ quality, views });
}

/** Adds each new state of the job to a list, with the milliseconds since the request. */
function followStates(): (state: string) => void {
  const list = byId('states', HTMLElement);
  list.replaceChildren();
  list.hidden = false;
  const started = performance.now();
  let shown = '';
  return (state) => {
    if (state === shown) return;
    shown = state;
    const item = make('li', {}, state);
    item.dataset['ms'] = `${Math.round(performance.now() - started)} ms`;
    list.append(item);
  };
}
