import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import type { PipelineConfig } from '@livegate/worker/pipeline';
import { expect, test } from 'vitest';
import { selfie } from '../fixtures/photos.js';
import { preparedModels } from '../fixtures/prepared-models.js';

const SELFIES = 600;

const config: PipelineConfig = {
  modelsDir: await preparedModels(),
  maxImagePixels: 50_000_000,
  faceScoreThreshold: 0.9,
  minFaceRatio: 0.25,
  executionProvider: 'cpu',
  devices: 1,
  layout: { engines: 1, intraOpThreads: 1, maxBatch: 1 },
  lingerMs: 0,
  runAhead: false,
};

test('pixels do not make the worker collect all of its heap', async () => {
  // In a process of its own: the test runner's heap is larger, and its limit with it.
  const program = fileURLToPath(new URL('count-full-collections.mjs', import.meta.url));
  const args = ['--expose-gc', program, JSON.stringify(config), `${SELFIES}`];
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.end(await selfie());
  const printed = await text(child.stdout);
  expect(printed).toMatch(/^\d+\n$/);
  expect(Number(printed)).toBeLessThan(SELFIES / 40);
}, 60_000);
