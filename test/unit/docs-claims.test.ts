import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createOpenApiDocument } from '../../apps/api/src/openapi/create-document.js';
import { parseCatalogue } from '../../apps/worker/src/models/catalogue.js';

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
  const path = 'models/catalogue.json';
  const { profiles } = parseCatalogue({ text: read(path), path });

  it.each(Object.entries(profiles))(
    'says in profile %s what its calibration was fitted to, and how it holds elsewhere',
    (_, { calibration }) => {
      expect(calibration?.data['name']).toMatch(/development images.*few subjects/);
      expect(calibration?.figures).toMatchObject({ validation: 'leave one source out' });
    },
  );

  it('has the error rates of the catalogue in the table of each profile', () => {
    const percent = (share = NaN) => `${(100 * share).toFixed(1)} %`;
    const expected = Object.values(profiles).flatMap(({ figures }) =>
      Object.entries(figures!.rates).map(([images, rates], i) => [
        images,
        ...['auc', 'eer', 'apcer_at_bpcer_5'].map((rate) => rates[rate]!.toFixed(3)),
        `${percent(rates['bpcer_high'])} / ${percent(rates['apcer_high'])}`,
        i === 0 ? figures!.cpu_ms_per_image!.toFixed(1) : '',
      ]),
    );
    const [, table] = read('docs/explanation/accuracy.md').split(/^\| profile +\| images .*$/m);
    const lines = table!.split('\n\n', 1)[0]!.trim().split('\n').slice(1);
    expect(
      lines.map((line) =>
        line
          .split('|')
          .slice(2, -1)
          .map((cell) => cell.trim()),
      ),
    ).toEqual(expected);
  });

  it.each(texts)('calls it calibrated only with what it was fitted to: $name', ({ text }) => {
    const claims = text.replaceAll(/\bnot\s+(a\s+)?calibrated\b/gi, '').match(/\bcalibrated\b/gi);
    const isExplained = /development\s+images/.test(text);
    expect(isExplained ? [] : (claims ?? [])).toEqual([]);
  });
});

describe('the sums of the memory of Redis', () => {
  const page = read('docs/how-to/scale.md');
  const figure = (name: string) =>
    Number(new RegExp(`^\\| ${name} +\\| ([\\d.]+) KiB`, 'm').exec(page)?.[1]);
  const bytes = {
    plain: 1024 * figure('Redis memory per finished check'),
    keyed: 1024 * figure('with an `Idempotency-Key`'),
  };
  /** Of 1 GB, three quarters are full when the alert fires. */
  const checksPerSecond = (ttlSeconds: number, each: number) =>
    Math.round(Number((0.75e9 / ttlSeconds / each).toPrecision(2)));
  const rows = [...page.matchAll(/^\| (\d+)(?:, the default)? +\| (\d+) +\| (\d+) +\|$/gm)]
    .map((row) => row.slice(1).map(Number))
    .map(([ttlSeconds = NaN, plain, keyed]) => ({ ttlSeconds, plain, keyed }));

  it('are those of the measured bytes of a check', () => {
    expect(rows).toHaveLength(3);
    expect(rows).toEqual(
      rows.map(({ ttlSeconds }) => ({
        ttlSeconds,
        plain: checksPerSecond(ttlSeconds, bytes.plain),
        keyed: checksPerSecond(ttlSeconds, bytes.keyed),
      })),
    );
  });

  it.each([
    'docker-compose.yml',
    'k8s/components/redis/redis.conf',
    'tools/dev/redis-server.ts',
    'docs/how-to/kubernetes.md',
    'docs/how-to/containers.md',
  ])('are not repeated in %s, where they would become outdated', (path) => {
    expect(read(path)).not.toMatch(/finished check (as|takes)[^.]*\d|\d checks\/s/);
  });
});
