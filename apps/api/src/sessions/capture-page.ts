import { presentError } from '../contract/present-error.js';
import type { Request, Response } from 'express';

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
export function sendPage(res: Response, html: string, frameAncestors: FrameAncestors): void {
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

/** The page of a session. It reads everything else from the state of the session. */
export function createCapturePage(): string {
  return createPage('Selfie', '<main id="capture"><h1>Take a selfie</h1></main>');
}

/** An error for a browser: the same status and words as in JSON. */
export function sendErrorPage(
  res: Response,
  thrown: unknown,
  frameAncestors: FrameAncestors,
): void {
  const { status, headers, body } = presentError(thrown, res.locals.requestId);
  res.locals.outcome = body.error_code;
  const text = `<main><h1>${escapeHtml(body.error_message)}</h1><p>${body.error_code}</p></main>`;
  res.status(status).set(headers);
  sendPage(res, createPage('Selfie', text), frameAncestors);
}

/** Whether the client is a browser that shows a page, and not a program, which reads JSON. */
export function prefersHtml(req: Request): boolean {
  return req.accepts(['json', 'html']) === 'html';
}

function createPage(title: string, content: string): string {
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>${title}</title>
  </head>
  <body>${content}</body>
</html>
`;
}

function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
