import { make } from './elements.js';

export interface Action {
  name: string;
  label: string;
  isMain?: boolean;
  /** Opens the file dialog, or the camera app of a phone; chosen with the file. */
  isFile?: boolean;
}

/** Everything that the person sees at one time. */
export interface View {
  /** For style sheets and tests. */
  name: string;
  title: string;
  text?: string;
  /** What the stage shows: the live camera, a photo, or nothing. */
  stage?: 'camera' | HTMLCanvasElement | HTMLImageElement;
  /** Shown below the text, such as a QR code. */
  extra?: Node[];
  /** A progress bar with this label. */
  progress?: string;
  actions: Action[];
}

export interface Choice {
  name: string;
  file?: File;
}

/** A screen reader needs the time to finish a sentence. */
const LIVE_INTERVAL_MS = 1000;

/** The elements of the component. They stay; views change what they show. */
export function createScreen(root: ShadowRoot, headingLevel: string) {
  const title = make('h2', { className: 'title', tabIndex: -1 });
  title.setAttribute('aria-level', headingLevel);
  const status = make('p', { className: 'status' });
  status.setAttribute('role', 'status');
  const live = createLiveText(status);
  const stage = createStage();
  const bar = make('progress', { max: 1 });
  const [extra, actions] = [
    make('div', { className: 'extra' }),
    make('div', { className: 'actions' }),
  ];
  const parts = [title, status, stage.element, bar, extra, actions];
  const frame = make('section', { className: 'frame' }, ...parts);
  root.append(frame);

  return { video: stage.video, setGood: stage.setGood, say: live.say, show, setProgress };

  /** Replaces the view, and resolves with what the person chooses in it. */
  function show(view: View): Promise<Choice> {
    const hadFocus = root.activeElement !== null;
    frame.dataset['view'] = view.name;
    frame.classList.toggle('plain', view.stage === undefined);
    title.textContent = view.title;
    live.set(view.text ?? '');
    stage.show(view.stage);
    bar.hidden = view.progress === undefined;
    bar.setAttribute('aria-label', view.progress ?? '');
    setProgress();
    extra.replaceChildren(...(view.extra ?? []));
    const choice = new Promise<Choice>((resolve) => {
      actions.replaceChildren(...view.actions.flatMap((action) => makeButton(action, resolve)));
    });
    // The button that had it may be gone.
    if (hadFocus) title.focus();
    return choice;
  }

  /** The share that is done, 0..1; without it, the bar only says that work goes on. */
  function setProgress(share?: number): void {
    if (share === undefined) bar.removeAttribute('value');
    else bar.value = share;
  }
}

export type Screen = ReturnType<typeof createScreen>;

/** The live picture with the oval, or a photo. */
function createStage() {
  const video = make('video', { muted: true, playsInline: true, disablePictureInPicture: true });
  const photo = make('div', { className: 'photo' });
  const oval = make('div', { className: 'oval' });
  const element = make('div', { className: 'stage' }, video, photo, oval);
  video.addEventListener('resize', () => {
    element.classList.toggle('portrait', video.videoHeight > video.videoWidth);
  });
  /** Colors the oval. The text says the same. */
  const setGood = (isGood: boolean) => oval.classList.toggle('good', isGood);

  return {
    element,
    video,
    setGood,
    show(shown: View['stage']): void {
      element.hidden = shown === undefined;
      element.dataset['shows'] = shown === 'camera' ? 'camera' : 'photo';
      photo.replaceChildren(...(shown === undefined || shown === 'camera' ? [] : [shown]));
      if (shown && shown !== 'camera') shown.classList.add('still');
      setGood(false);
    },
  };
}

function makeButton(action: Action, choose: (choice: Choice) => void): Node[] {
  const { name, label, isMain = false, isFile = false } = action;
  const button = make('button', { type: 'button', textContent: label });
  button.dataset['action'] = name;
  button.classList.toggle('main', isMain);
  if (!isFile) {
    button.addEventListener('click', () => choose({ name }));
    return [button];
  }
  const input = make('input', { type: 'file', accept: 'image/jpeg,image/png', hidden: true });
  // Phones open the camera app; computers ignore it.
  input.setAttribute('capture', 'user');
  input.addEventListener('change', () => {
    const file = input.files?.[0];
    if (file) choose({ name, file });
  });
  button.addEventListener('click', () => input.click());
  return [button, input];
}

/** A live region that changes once a second at most; of several texts in a second, the last is said. */
function createLiveText(element: HTMLElement) {
  let [next, last, timer] = ['', -LIVE_INTERVAL_MS, 0];

  return {
    say(text: string): void {
      next = text;
      const wait = last + LIVE_INTERVAL_MS - performance.now();
      if (wait <= 0) write();
      else timer ||= window.setTimeout(write, wait);
    },
    /** At once: a new view is one change. */
    set(text: string): void {
      next = text;
      write();
    },
  };

  function write(): void {
    clearTimeout(timer);
    timer = 0;
    if (element.textContent === next) return;
    element.textContent = next;
    last = performance.now();
  }
}
