import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeModels } from '@livegate/core/domain';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { copyPreparedModels } from '@livegate/testing/models/prepared-models';
import type { CalibrationFile } from './calibration.js';
import { loadModels, readCatalogue } from './load-models.js';

let modelsDir: string;

beforeEach(async () => {
  modelsDir = await mkdtemp(join(tmpdir(), 'livegate-load-'));
  await copyPreparedModels(modelsDir);
});

afterEach(() => rm(modelsDir, { recursive: true }));

const write = (file: string, value: unknown) =>
  writeFile(join(modelsDir, file), JSON.stringify(value));

const regular = { cutPoints: { level: 'regular' as const } };

describe('loadModels', () => {
  test('returns the models of a profile, its cut points and what its calibration says', async () => {
    const { facts, classifiers, calibration } = await loadModels(modelsDir, 'fast');
    expect(facts.models.map(({ name, task }) => [name, task])).toEqual([
      ['fr-detect', 'detect'],
      ['fr-liveness', 'classify'],
    ]);
    expect(classifiers.map(({ views }) => views)).toEqual([[{ scale: 2, fill: 'reflect' }]]);
    expect(classifiers[0]?.bytes.length).toBeGreaterThan(1_000_000);
    const { profiles } = await readCatalogue(modelsDir);
    expect(facts.models[1]!.views).toEqual(classifiers[0]!.views);
    expect(facts).toMatchObject({
      profile: 'fast',
      cutPoints: profiles['fast']?.cut_points.regular,
      calibration: {
        id: expect.stringMatching(/^[0-9a-f]{8}$/),
        method: 'platt',
        figures: { validation: 'leave one source out' },
      },
    });
    expect(calibration).toEqual(profiles['fast']?.calibration);
  });

  test('refuses a changed file, and names it and the command that fetches it', async () => {
    const path = join(modelsDir, 'fr-liveness.onnx');
    await appendFile(path, 'x');
    await expect(loadModels(modelsDir)).rejects.toThrow(path);
    await expect(loadModels(modelsDir)).rejects.toThrow('npm run models');
  });

  test('refuses a missing file, and names it and the command that fetches it', async () => {
    const path = join(modelsDir, 'fr-detect.onnx');
    await rm(path);
    const problem = `cannot read ${path}: run "npm run models"`;
    await expect(loadModels(modelsDir)).rejects.toThrow(problem);
  });

  test('refuses a folder that was never prepared, and names the command that does it', async () => {
    await expect(loadModels(join(modelsDir, 'no'))).rejects.toThrow('run "npm run models"');
  });

  test('refuses an unknown profile, and names the known ones', async () => {
    await expect(loadModels(modelsDir, 'best')).rejects.toThrow(
      'there is no profile "best", the catalogue has: fast, default, accurate',
    );
  });
});

describe('cut points', () => {
  test('are those of the chosen level', async () => {
    const { profiles } = await readCatalogue(modelsDir);
    for (const level of ['soft', 'regular', 'hardened'] as const) {
      const { facts } = await loadModels(modelsDir, 'default', { cutPoints: { level } });
      expect(facts.cutPoints).toEqual(profiles['default']?.cut_points[level]);
    }
  });

  test('are replaced one by one, but not out of order', async () => {
    const load = (change: { moderate?: number; high?: number }) =>
      loadModels(modelsDir, 'default', { cutPoints: { level: 'regular', ...change } });
    const { facts } = await load({ high: 0.9 });
    expect(facts.cutPoints).toMatchObject({ high: 0.9 });
    await expect(load({ high: 0.1 })).rejects.toThrow('is above the one of HIGH, 0.1');
  });
});

describe('a calibration file', () => {
  async function calibrationFor(change: Partial<CalibrationFile> = {}) {
    const { facts } = await loadModels(modelsDir);
    const cuts = { moderate: 0.3, high: 0.4 };
    const file = {
      format: 'livegate-calibration/1',
      profile: 'default',
      model: describeModels(facts.models),
      method: 'isotonic',
      isotonic: { logits: [-1, 1], probabilities: [0.1, 0.9] },
      cut_points: { soft: cuts, regular: cuts, hardened: cuts },
      data: { name: 'our cameras' },
      figures: { ece: 0.01 },
      ...change,
    };
    const calibrationFile = join(modelsDir, 'calibration.json');
    await writeFile(calibrationFile, JSON.stringify(file));
    return { ...regular, calibrationFile };
  }

  test('replaces the calibration and the cut points of the profile', async () => {
    const { facts, calibration } = await loadModels(modelsDir, 'default', await calibrationFor());
    expect(facts.cutPoints).toEqual({ moderate: 0.3, high: 0.4 });
    expect(facts.calibration).toEqual({
      id: expect.stringMatching(/^[0-9a-f]{8}$/) as string,
      method: 'isotonic',
      data: { name: 'our cameras' },
      figures: { ece: 0.01 },
    });
    expect(calibration).toMatchObject({ isotonic: { logits: [-1, 1] } });
  });

  test.each([
    ['models', { model: 'fr-detect/0.0.1+00000000' }, 'with fr-detect/0.0.1+00000000, but'],
    ['a profile', { profile: 'fast' }, 'was fitted to profile fast with'],
  ])('of other %s is refused, because its scores would be wrong', async (_, change, reason) => {
    const tuning = await calibrationFor(change);
    await expect(loadModels(modelsDir, 'default', tuning)).rejects.toThrow(reason);
  });

  test('that does not exist is refused', async () => {
    const tuning = { ...regular, calibrationFile: join(modelsDir, 'none.json') };
    await expect(loadModels(modelsDir, 'default', tuning)).rejects.toThrow(
      'there is no calibration file',
    );
  });
});

describe('readCatalogue', () => {
  const format = 'livegate-catalogue/1';

  test('adds the models and profiles of own.json', async () => {
    const { models, profiles } = await readCatalogue(modelsDir);
    const own = {
      format,
      models: { 'our-liveness': models['fr-liveness'] },
      profiles: {
        ours: {
          ...profiles['default'],
          classifiers: [{ ...profiles['default']!.classifiers[0], model: 'our-liveness' }],
        },
      },
    };
    await write('own.json', own);
    const { facts } = await loadModels(modelsDir, 'ours');
    expect(facts.models.map(({ name }) => name)).toEqual(['fr-detect', 'our-liveness']);
  });

  test('refuses an own model or profile with a name that the catalogue has', async () => {
    const { models, profiles } = await readCatalogue(modelsDir);
    const own = { models: { 'fr-detect': models['fr-detect'] }, profiles: { fast: profiles } };
    await write('own.json', own);
    await expect(readCatalogue(modelsDir)).rejects.toThrow('choose others: fr-detect, fast');
  });

  test('says which file has no object, or is not JSON', async () => {
    await write('own.json', null);
    await expect(readCatalogue(modelsDir)).rejects.toThrow('own.json does not describe models');
    await writeFile(join(modelsDir, 'own.json'), '{');
    await expect(readCatalogue(modelsDir)).rejects.toThrow(/own\.json is not JSON$/);
  });

  test('reads one number for all channels as one for each', async () => {
    const { models } = await readCatalogue(modelsDir);
    const input = { ...models['fr-liveness']!.input, subtract: 127, multiply: [1, 2, 3] };
    await write('own.json', { format, models: { ours: { ...models['fr-liveness'], input } } });
    expect((await readCatalogue(modelsDir)).models['ours']!.input).toMatchObject({
      subtract: [127, 127, 127],
      multiply: [1, 2, 3],
    });
  });

  test('refuses logits of a single class, whose softmax is always 1', async () => {
    const { models } = await readCatalogue(modelsDir);
    const output = { name: 'output', classes: ['live'] };
    const add = (values: 'logits' | 'probabilities') => {
      const ours = { ...models['fr-liveness'], output: { ...output, values } };
      return write('own.json', { format, models: { ours } });
    };
    await add('probabilities');
    expect((await readCatalogue(modelsDir)).models).toHaveProperty('ours');
    await add('logits');
    await expect(readCatalogue(modelsDir)).rejects.toThrow('logits need at least two classes');
  });

  test('lists all mistakes', async () => {
    const catalogue = JSON.parse(
      await readFile(join(modelsDir, 'catalogue.json'), 'utf8'),
    ) as Awaited<ReturnType<typeof readCatalogue>>;
    const { 'fr-liveness': ours, 'fr-detect': detector } = catalogue.models;
    const output = { name: 'output', values: 'logits', classes: ['spoof', 'spoof'] };
    const wrong = {
      ...catalogue,
      models: {
        'fr-detect': { ...detector, sha256: 'x' },
        'fr-liveness': { ...ours, output, colour: 'red' },
      },
    };
    await write('catalogue.json', wrong);
    const problem = await readCatalogue(modelsDir).catch((error: Error) => error.message);
    expect(problem).toContain('catalogue.json does not describe models:');
    for (const part of ['models["fr-detect"].sha256', 'exactly one class "live"', '"colour"']) {
      expect(problem).toContain(part);
    }
  });

  test('refuses a profile whose models do not exist or have another task', async () => {
    const catalogue = JSON.parse(
      await readFile(join(modelsDir, 'catalogue.json'), 'utf8'),
    ) as Awaited<ReturnType<typeof readCatalogue>>;
    catalogue.profiles['default']!.detector = 'fr-liveness';
    catalogue.profiles['fast']!.classifiers[0]!.model = 'none';
    await write('catalogue.json', catalogue);
    const problem = await readCatalogue(modelsDir).catch((error: Error) => error.message);
    expect(problem).toMatch(
      /there is no model "fr-liveness" with the task "detect"\n.*at profiles\.default\.detector/,
    );
    expect(problem).toMatch(
      /there is no model "none" with the task "classify"\n.*at profiles\.fast\.classifiers\[0\]\.model/,
    );
  });
});
