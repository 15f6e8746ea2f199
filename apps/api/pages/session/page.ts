import type { LivegateCapture, OwnTexts } from '@livegate/capture';

/** What an operator changes about the page: apps/api/src/sessions/page-theme.ts. */
interface Theme {
  name?: string;
  /** A data URL. */
  logo?: string;
  colors?: { light?: Record<string, string>; dark?: Record<string, string> };
  texts?: OwnTexts;
}

await customElements.whenDefined('livegate-capture');
const capture = document.querySelector('livegate-capture') as LivegateCapture;
const theme = JSON.parse(
  document.querySelector<HTMLMetaElement>('meta[name="livegate-theme"]')?.content ?? '{}',
) as Theme;

applyTheme(theme);
new MutationObserver(describeDocument).observe(capture, { attributeFilter: ['lang'] });
capture.session = location.origin + location.pathname;

function applyTheme({ name = '', logo, colors = {}, texts = {} }: Theme): void {
  const root = document.documentElement.style;
  for (const [color, value] of Object.entries(colors.light ?? {})) {
    root.setProperty(`--livegate-${color}`, value);
  }
  for (const [color, value] of Object.entries(colors.dark ?? {})) {
    root.setProperty(`--livegate-${color}-dark`, value);
  }
  if (logo !== undefined) {
    const image = document.querySelector<HTMLImageElement>('#logo')!;
    Object.assign(image, { src: logo, alt: name, hidden: false });
  }
  capture.texts = texts;
}

/** The component has chosen its language by the session and the browser. */
function describeDocument(): void {
  document.documentElement.lang = capture.lang;
  const heading = capture.shadowRoot?.querySelector('h2')?.textContent ?? '';
  document.title = [heading, theme.name].filter(Boolean).join(' – ');
}
