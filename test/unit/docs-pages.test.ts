import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../..');
const pages = [
  ...readdirSync(root).filter((file) => file.endsWith('.md')),
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.md'))
    .map((file) => join('docs', file)),
];

function listMatches(page: string, pattern: RegExp): string[] {
  const text = readFileSync(join(root, page), 'utf8');
  return [...text.matchAll(pattern)].map(([, path = '']) => path);
}

it.each(pages)('every relative link in %s leads to an existing file', (page) => {
  const links = listMatches(page, /\]\((?!https?:|#|mailto:)([^)#]+)/g);
  expect(links.filter((link) => !existsSync(join(root, dirname(page), link)))).toEqual([]);
});

it('docs/index.md links every page of the documentation', () => {
  const paths = listMatches('docs/index.md', /\]\(([^)#]+)/g).map((link) => join('docs', link));
  const links = new Set(paths);
  const others = pages.filter((page) => page.startsWith('docs') && page !== 'docs/index.md');
  expect(others.filter((page) => !links.has(page))).toEqual([]);
});

it('every path that CONTRIBUTING.md names exists', () => {
  const folders = /`((?:\.github|apps|docs|models|packages|test|tools)\/[\w./-]+)`/g;
  const paths = listMatches('CONTRIBUTING.md', folders);
  expect(paths.length).toBeGreaterThan(20);
  expect(paths.filter((path) => !existsSync(join(root, path)))).toEqual([]);
});

it.each(pages)('no table in %s is wider than 100 columns', (page) => {
  const lines = readFileSync(join(root, page), 'utf8').split('\n');
  const rows = lines.filter((line) => line.trimStart().startsWith('|'));
  expect(rows.filter((row) => row.length > 100)).toEqual([]);
});
