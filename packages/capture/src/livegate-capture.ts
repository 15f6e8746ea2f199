import { withAbort } from './abort.js';
import type { CaptureEvents } from './capture-events.js';
import { openFaceFinder, openFacePoints } from './faces/find-faces.js';
import { runSession } from './run-session.js';
import styles from './screen/livegate-capture.css';
import { createScreen, type Screen } from './screen/screen.js';
import { chooseLanguage, type OwnTexts, type Texts, textsIn } from './screen/texts.js';

export type { CaptureEvents, OwnTexts, Texts };

/** The other files of this component lie beside its module. */
const assets = new URL('.', import.meta.url);

/**
 * Takes the selfie of a session of a Livegate gateway and sends it.
 *
 *     <livegate-capture session="https://gateway.example/sessions/…" locale="id"></livegate-capture>
 *
 * README.md lists its attributes, properties, events and CSS properties.
 */
export class LivegateCapture extends HTMLElement {
  static readonly observedAttributes = ['session', 'locale'];

  #texts: OwnTexts = {};
  #screen: Screen | undefined;
  #running: AbortController | undefined;

  /** The `url` of the session. */
  get session(): string {
    return this.getAttribute('session') ?? '';
  }
  set session(url: string) {
    this.setAttribute('session', url);
  }

  /** A BCP 47 tag; by default the session's, then the first of the browser's that has texts. */
  get locale(): string {
    return this.getAttribute('locale') ?? '';
  }
  set locale(tag: string) {
    this.setAttribute('locale', tag);
  }

  /** Texts of your own, by language. Set them before `session`. */
  get texts(): OwnTexts {
    return this.#texts;
  }
  set texts(texts: OwnTexts) {
    this.#texts = texts;
    this.restart();
  }

  connectedCallback(): void {
    this.#screen ??= this.#createScreen();
    addEventListener('pagehide', this.#stop);
    addEventListener('pageshow', this.#onPageShow);
    this.restart();
  }

  disconnectedCallback(): void {
    removeEventListener('pagehide', this.#stop);
    removeEventListener('pageshow', this.#onPageShow);
    this.#stop();
  }

  attributeChangedCallback(): void {
    this.restart();
  }

  /** Begins again with the state of the session. The camera is off in between. */
  restart(): void {
    this.#stop();
    if (!this.isConnected || this.session === '' || !this.#screen) return;
    const running = new AbortController();
    this.#running = running;
    void withAbort(running.signal, (signal) => this.#run(this.#screen!, signal)).catch(
      (error: unknown) => {
        if (!running.signal.aborted)
          this.#emit('livegate-error', { code: 'failed', isFinal: true });
        if (!running.signal.aborted) console.error(error);
      },
    );
  }

  #run(screen: Screen, signal: AbortSignal): Promise<void> {
    const url = new URL(this.session, location.href);
    let finder: ReturnType<typeof openFaceFinder> | undefined;
    let points: ReturnType<typeof openFacePoints> | undefined;
    return runSession({
      screen,
      signal,
      emit: (name, detail) => this.#emit(name, detail),
      session: url.origin + url.pathname.replace(/\/$/, ''),
      faceFinder: () => (finder ??= openFaceFinder(assets)),
      facePoints: () => (points ??= openFacePoints(assets)),
      textsFor: (locale) => {
        const wanted = [this.locale, locale, ...navigator.languages];
        const language = chooseLanguage(wanted, this.#texts);
        this.lang = language;
        return textsIn(language, this.#texts);
      },
    });
  }

  readonly #stop = (): void => this.#running?.abort();

  /** The browser's back button can bring the page back as it was, without its camera. */
  readonly #onPageShow = ({ persisted }: PageTransitionEvent): void => {
    if (persisted) this.restart();
  };

  #emit<Name extends keyof CaptureEvents>(name: Name, detail: CaptureEvents[Name]): boolean {
    return this.dispatchEvent(
      new CustomEvent(name, { detail, bubbles: true, composed: true, cancelable: true }),
    );
  }

  #createScreen(): Screen {
    const root = this.attachShadow({ mode: 'open' });
    addStyles(root);
    return createScreen(root, this.getAttribute('heading-level') ?? '2');
  }
}

/** Not a style element, which a strict content security policy forbids. */
function addStyles(root: ShadowRoot): void {
  if ('adoptedStyleSheets' in root) {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(styles);
    root.adoptedStyleSheets = [sheet];
    return;
  }
  // Safari before version 16.4.
  const link = document.createElement('link');
  link.rel = 'stylesheet';
  link.href = new URL('livegate-capture.css', assets).href;
  (root as ShadowRoot).append(link);
}

declare global {
  interface HTMLElementTagNameMap {
    'livegate-capture': LivegateCapture;
  }
  interface HTMLElementEventMap {
    'livegate-progress': CustomEvent<CaptureEvents['livegate-progress']>;
    'livegate-hint': CustomEvent<CaptureEvents['livegate-hint']>;
    'livegate-result': CustomEvent<CaptureEvents['livegate-result']>;
    'livegate-cancel': CustomEvent<CaptureEvents['livegate-cancel']>;
    'livegate-error': CustomEvent<CaptureEvents['livegate-error']>;
  }
}

customElements.define('livegate-capture', LivegateCapture);
