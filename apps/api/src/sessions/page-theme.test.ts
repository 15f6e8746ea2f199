import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { parseEmbedOrigins } from './allow-embedding.js';
import { readPageTheme } from './page-theme.js';

/** Reads a theme from a folder that has this logo. */
function read(theme: unknown, logo: { name: string; bytes: number } = { name: 'a.png', bytes: 3 }) {
  const folder = mkdtempSync(join(tmpdir(), 'livegate-theme-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, logo.name), Buffer.alloc(logo.bytes, 'x'));
  writeFileSync(join(folder, 'theme.json'), JSON.stringify(theme));
  return readPageTheme(join(folder, 'theme.json'));
}

describe('a theme', () => {
  it('has the logo as a data URL, from beside its file', () => {
    const theme = { name: 'Acme', logo: 'a.png', colors: { dark: { accent: '#FFB4AB' } } };
    expect(read(theme)).toEqual({ ...theme, logo: 'data:image/png;base64,eHh4' });
  });

  it.each<[string, object, RegExp]>([
    ['an unknown text', { texts: { en: { titel: 'x' } } }, /titel/],
    ['an unknown color', { colors: { light: { akzent: '#000000' } } }, /akzent/],
    ['a color that is not one', { colors: { light: { accent: 'red;x' } } }, /such as #1b5fc1/],
    ['a language that is not one', { texts: { '../x': {} } }, /texts/],
    ['a logo of another type', { logo: 'theme.json' }, /must be one of \.svg/],
    ['a missing logo', { logo: 'b.png' }, /ENOENT/],
  ])('is refused for %s, which the error names', (_name, theme, words) => {
    expect(() => read(theme)).toThrow(words);
  });

  it('is refused for a logo that would make every page large', () => {
    const logo = { name: 'a.png', bytes: 100_001 };
    expect(() => read({ logo: 'a.png' }, logo)).toThrow('at most 100000');
  });
});

describe('the origins that may embed the capture', () => {
  it('are scheme, host and port only', () => {
    expect(parseEmbedOrigins(' https://shop.example http://localhost:3000 ')).toEqual([
      'https://shop.example',
      'http://localhost:3000',
    ]);
  });

  it.each(['*', 'shop.example', 'https://shop.example/', 'https://*.shop.example', 'null'])(
    'are not %s',
    (text) => expect(() => parseEmbedOrigins(text)).toThrow('expected origins'),
  );
});
