import { readFileSync } from 'node:fs';
import { dirname, extname, resolve } from 'node:path';
import { z } from 'zod';
import { readPageText } from '../http/serve-pages.js';

/** The logo is part of every page. */
const MAX_LOGO_BYTES = 100_000;
const logoTypes: Record<string, string> = {
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.webp': 'image/webp',
};

const colors = z
  .strictObject(
    Object.fromEntries(
      ['accent', 'on-accent', 'ground', 'text', 'muted', 'line', 'good', 'page'].map((name) => [
        name,
        z.string().regex(/^#[\da-f]{6}$/i, 'expected a color such as #1b5fc1'),
      ]),
    ),
  )
  .partial();

const textKeys = Object.keys(JSON.parse(readPageText('texts-en.json')) as object);
const texts = z
  .strictObject(Object.fromEntries(textKeys.map((key) => [key, z.string()])))
  .partial();

/** The file of an operator; docs/how-to/brand-the-page.md describes it. */
const themeSchema = z.strictObject({
  name: z.string().max(100).optional(),
  logo: z.string().optional(),
  colors: z.strictObject({ light: colors.optional(), dark: colors.optional() }).optional(),
  texts: z.record(z.string().regex(/^[a-z]{2,8}(-[a-z\d]{1,8})*$/i), texts).optional(),
});

/** What the page gets. The logo is a data URL. */
export type PageTheme = z.output<typeof themeSchema>;

/** Throws an Error that names the file and lists what is wrong in it. */
export function readPageTheme(file: string): PageTheme {
  try {
    const theme = themeSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
    if (theme.logo === undefined) return theme;
    return { ...theme, logo: readLogo(resolve(dirname(file), theme.logo)) };
  } catch (cause) {
    const reason = cause instanceof z.ZodError ? z.prettifyError(cause) : (cause as Error).message;
    throw new Error(`cannot use ${file}: ${reason}`, { cause });
  }
}

function readLogo(file: string): string {
  const type = logoTypes[extname(file).toLowerCase()];
  if (!type) throw new Error(`the logo must be one of ${Object.keys(logoTypes).join(', ')}`);
  const bytes = readFileSync(file);
  if (bytes.length > MAX_LOGO_BYTES) {
    throw new Error(`the logo has ${bytes.length} bytes, at most ${MAX_LOGO_BYTES} are allowed`);
  }
  return `data:${type};base64,${bytes.toString('base64')}`;
}
