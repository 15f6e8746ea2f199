import type { RequestHandler } from 'express';

/** Origins whose pages may use a session through `<livegate-capture>`. */
export type EmbedOrigins = string[];

/** Throws an Error that says what is wrong with the text. */
export function parseEmbedOrigins(text: string): EmbedOrigins {
  const origins = text.trim().split(/\s+/);
  const isOrigin = (origin: string) => URL.canParse(origin) && new URL(origin).origin === origin;
  const wrong = origins.find((origin) => !/^https?:[^*]+$/.test(origin) || !isOrigin(origin));
  if (wrong === undefined) return origins;
  throw new Error(
    `expected origins such as https://shop.example, separated by spaces, not "${wrong}"`,
  );
}

/** CORS for the requests of the component, which have no credentials. Other origins get none. */
export function allowEmbedding(origins: EmbedOrigins): RequestHandler {
  return (req, res, next) => {
    if (origins.length === 0) return next();
    res.vary('Origin');
    const origin = req.get('origin');
    if (origin === undefined || !origins.includes(origin)) return next();
    res.set('Access-Control-Allow-Origin', origin);
    res.set('Access-Control-Expose-Headers', 'Retry-After');
    if (req.method !== 'OPTIONS') return next();
    // A browser asks before an upload whose progress the page shows.
    res.set({ 'Access-Control-Allow-Methods': 'GET, POST', 'Access-Control-Max-Age': '600' });
    res.status(204).end();
  };
}
