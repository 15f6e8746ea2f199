import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { createEnv, startWorker } from '@livegate/testing/product/processes';

it('a worker writes no file to its home folder, as ONNX Runtime telemetry would', async () => {
  const home = await mkdtemp(join(tmpdir(), 'livegate-home-'));
  onTestFinished(() => rm(home, { recursive: true }));
  const worker = await startWorker(createEnv({ HOME: home }));
  await worker.stop();
  expect(await readdir(home)).toEqual([]);
});
