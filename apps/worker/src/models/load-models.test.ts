import { appendFile, cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { preparedModels } from '@livegate/testing/models/prepared-models';
import { loadModels } from './load-models.js';

let modelsDir: string;

beforeEach(async () => {
  modelsDir = await mkdtemp(join(tmpdir(), 'livegate-load-'));
  await cp(await preparedModels(), modelsDir, { recursive: true });
});

afterEach(() => rm(modelsDir, { recursive: true }));

test('loadModels returns the models of a prepared folder and their facts', async () => {
  const { facts, classifiers } = await loadModels(modelsDir);
  expect(facts.map(({ task }) => task)).toEqual(['detect', ...classifiers.map(() => 'classify')]);
  expect(classifiers[0]?.bytes.length).toBeGreaterThan(1_000_000);
});

test('loadModels refuses a changed file, and names it and the command that fetches it', async () => {
  const path = join(modelsDir, 'fr-liveness.onnx');
  await appendFile(path, 'x');
  await expect(loadModels(modelsDir)).rejects.toThrow(path);
  await expect(loadModels(modelsDir)).rejects.toThrow('npm run models');
});

test('loadModels refuses a missing file, and names it and the command that fetches it', async () => {
  const path = join(modelsDir, 'fr-detect.onnx');
  await rm(path);
  await expect(loadModels(modelsDir)).rejects.toThrow(`cannot read ${path}: run "npm run models"`);
});

test('loadModels refuses a folder that was never prepared, and names the command that does it', async () => {
  await expect(loadModels(join(modelsDir, 'no'))).rejects.toThrow('run "npm run models"');
});

test('loadModels lists all mistakes of a manifest', async () => {
  await writeFile(join(modelsDir, 'manifest.json'), '{"detector": {"name": 5}, "classifiers": []}');
  const problems =
    /manifest\.json does not describe models:[^]*at classifiers[^]*at detector\.name/;
  await expect(loadModels(modelsDir)).rejects.toThrow(problems);
});
