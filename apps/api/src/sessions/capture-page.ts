import type { Request, Response } from 'express';
import { presentError } from '../contract/present-error.js';
import { readPageText } from '../http/serve-pages.js';
import type { PageTheme } from './page-theme.js';

/** Origins that may show the page in a frame, as CSP's `frame-ancestors` lists them. */
export type FrameAncestors = string;

/** Throws an Error that says what is wrong with the text. */
export function parseFrameAncestors(text: string): FrameAncestors {
  const origins = text.trim().split(/\s+/);
  const isOrigin = (origin: string) =>
    /^'(?:none|self)'$|^https?:\/\/(?:\*\.)?[\w.-]+(?::\d{1,5})?$/i.test(origin);
  if (origins.every(isOrigin)) return origins.join(' ');
  throw new Error(
    `expected 'none', 'self' or origins such as https://shop.example, separated by spaces, not "${text}"`,
  );
}

/** Headers of every answer to the browser of a person, HTML or JSON. */
export const privateHeaders = {
  'Cache-Control': 'no-store',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
};

/**
 * The page may load scripts, styles and images of this gateway only, show a frame of the camera, and
 * be framed by `frameAncestors`. Nobody else gets the camera.
 */
export function sendPage(res: Response, { html, frameAncestors }: CapturePage): void {
  const policy = [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' blob: data:",
    "media-src 'self' blob:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    `frame-ancestors ${frameAncestors}`,
  ].join('; ');
  res.set(privateHeaders);
  res.set('Content-Security-Policy', policy);
  res.set('Permissions-Policy', 'camera=(self)');
  res.type('html').send(html);
}

/** The page of a session, which reads the state by itself. Browsers get it for errors, too. */
export interface CapturePage {
  html: string;
  frameAncestors: FrameAncestors;
}

export function createCapturePage(theme: PageTheme, frameAncestors: FrameAncestors): CapturePage {
  const html = readPageText('session.html').replace(
    'name="livegate-theme" content="{}"',
    () => `name="livegate-theme" content="${escapeHtml(JSON.stringify(theme))}"`,
  );
  return { html, frameAncestors };
}

/** The page, with the status and headers of the error; its words are for browsers without JavaScript. */
export function sendErrorPage(res: Response, thrown: unknown, page: CapturePage): void {
  const { status, headers, body } = presentError(thrown, res.locals.requestId);
  res.locals.outcome = body.error_code;
  const words = `<noscript><p>${escapeHtml(body.error_message)}</p></noscript>`;
  res.status(status).set(headers);
  sendPage(res, { ...page, html: page.html.replace(/<noscript>.*<\/noscript>/, () => words) });
}

/** Whether the client is a browser that shows a page, and not a program, which reads JSON. */
export function prefersHtml(req: Request): boolean {
  return req.accepts(['json', 'html']) === 'html';
}

function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
