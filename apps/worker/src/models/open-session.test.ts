import { expect, test } from 'vitest';
import { preparedModels } from '@livegate/testing/models/prepared-models';
import { loadModels } from './load-models.js';
import { openSession } from './open-session.js';

const { detector } = await loadModels(await preparedModels());
const cpu = { executionProvider: 'cpu', deviceId: 0, intraOpThreads: 1 } as const;

test('a session runs any batch size and returns float arrays by name', async () => {
  const session = await openSession(detector, cpu);
  const outputs = await session.run(new Float32Array(2 * 3 * 240 * 320));
  expect(outputs['scores']).toMatchObject({ shape: [2, 4420, 2] });
  expect(outputs['boxes']).toMatchObject({ shape: [2, 4420, 4] });
  expect(outputs['boxes']?.values).toHaveLength(2 * 4420 * 4);
  await session.close();
});

test('a padded run returns the outputs of its first images alone', async () => {
  const session = await openSession(detector, cpu);
  const size = 3 * 240 * 320;
  const batch = Float32Array.from({ length: 4 * size }, (_, i) => ((i % 251) - 127) / 128);
  const padded = await session.run(batch, 3);
  const exact = await session.run(batch.subarray(0, 3 * size));
  expect(padded['scores']?.shape).toEqual([3, 4420, 2]);
  for (const name of ['scores', 'boxes']) {
    const { values, shape } = exact[name]!;
    expect(padded[name]).toEqual({ values, shape });
  }
  await session.close();
});

test('openSession refuses an unavailable execution provider, without a fallback to the CPU', async () => {
  await expect(openSession(detector, { ...cpu, executionProvider: 'coreml' })).rejects.toThrow(
    'cannot open model fr-detect with execution provider "coreml"',
  );
});

test('openSession refuses a model whose input differs from its manifest', async () => {
  const input = { ...detector.input, width: 640 };
  await expect(openSession({ ...detector, input }, cpu)).rejects.toThrow(
    'model fr-detect does not take one input "input" of float32 [any batch, 3, 240, 640], ' +
      'its inputs are: "input" of float32 [batch',
  );
});
