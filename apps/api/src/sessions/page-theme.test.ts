import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
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

  it.each([
    ['a.SVG', 'image/svg+xml'],
    ['a.jpg', 'image/jpeg'],
    ['a.webp', 'image/webp'],
  ])('may have a logo of 100,000 bytes: %s', (name, type) => {
    expect(read({ logo: name }, { name, bytes: 100_000 }).logo).toMatch(`data:${type};base64,`);
  });

  it('may have no logo', () => {
    expect(read({ name: 'Acme' })).toEqual({ name: 'Acme' });
  });

  it.each<[string, object, RegExp]>([
    ['an unknown text', { texts: { en: { titel: 'x' } } }, /titel/],
    ['an unknown color', { colors: { light: { akzent: '#000000' } } }, /akzent/],
    ['a color that is not one', { colors: { light: { accent: 'red;x' } } }, /such as #1b5fc1/],
    ['a language that is not one', { texts: { '../x': {} } }, /at texts/],
    ['a logo of another type', { logo: 'theme.json' }, /must be one of \.svg/],
    ['a missing logo', { logo: 'b.png' }, /ENOENT/],
    ['what is not an object', [], /expected object/],
  ])('is refused for %s, which the error names', (_name, theme, words) => {
    expect(() => read(theme)).toThrow(words);
    expect(() => read(theme)).toThrow(/^cannot use \/.*theme\.json: /);
  });

  it('is refused for a logo that would make every page large', () => {
    const logo = { name: 'a.png', bytes: 100_001 };
    expect(() => read({ logo: 'a.png' }, logo)).toThrow('at most 100000');
  });
});
