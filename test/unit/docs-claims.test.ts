import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createOpenApiDocument } from '../../apps/api/src/openapi/create-document.js';
import { parseManifest } from '../../apps/worker/src/models/model-manifest.js';

const root = resolve(import.meta.dirname, '../..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');

const pages = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.md'))
  .map((path) => join('docs', path));

const document = createOpenApiDocument({
  limits: { maxImageBytes: 1, maxImagePixels: 1 },
  waitLimitMs: 1,
  publicUrl: undefined,
  pageAssets: [],
  body: 'multipart',
});

const texts = [
  ...['README.md', 'NOTICE', ...pages].map((path) => ({ name: path, text: read(path) })),
  { name: 'the OpenAPI document', text: JSON.stringify(document) },
];

describe('documentation of the score', () => {
  const { classifiers } = parseManifest(read('models/manifest.json'), 'models/manifest.json');
  const isCalibrated = classifiers.some(
    ({ calibration }) => calibration.slope !== 1 || calibration.intercept !== 0,
  );

  it.each(texts)('calls it calibrated only if the shipped models are: $name', ({ text }) => {
    const claims = text.replaceAll(/\bnot\s+calibrated\b/gi, '').match(/\bcalibrated\b/gi) ?? [];
    expect(isCalibrated ? [] : claims).toEqual([]);
  });
});
