import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { type Lock, writeLicences } from '../../tools/docs/licences.js';

const root = new URL('../../', import.meta.url);
const notice = readFileSync(new URL('NOTICE', root), 'utf8');
const lock = JSON.parse(readFileSync(new URL('package-lock.json', root), 'utf8')) as Lock;

it('NOTICE lists every library of the images with its licence: npm run docs:config', () => {
  expect(notice).toContain('@img/sharp-libvips-linux-x64');
  expect(notice).toContain('LGPL-3.0-or-later');
  expect(writeLicences(notice, lock)).toBe(notice);
});

/** Licences that allow shipping a library in an image without its source. */
const allowed = new Set([
  '(MIT OR CC0-1.0)',
  '0BSD',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'ISC',
  'MIT',
  'Unlicense',
  // sharp's libvips, a shared library: NOTICE says where its source is.
  'Apache-2.0 AND LGPL-3.0-or-later',
  'Apache-2.0 AND LGPL-3.0-or-later AND MIT',
  'LGPL-3.0-or-later',
]);

it('every library of the images has a licence that was reviewed', () => {
  const [, list = ''] = notice.split('LIBRARIES\n');
  const licences = [...list.matchAll(/^ {2}(\S[^:\n]*): /gm)].map(([, licence]) => licence);
  expect(licences.length).toBeGreaterThan(5);
  expect(licences.filter((licence) => !allowed.has(licence ?? ''))).toEqual([]);
});

it('no package may run a script while it is installed', () => {
  expect(readFileSync(new URL('.npmrc', root), 'utf8')).toMatch(/^ignore-scripts=true$/m);
});
