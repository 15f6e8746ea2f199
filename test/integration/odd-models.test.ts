import { rm } from 'node:fs/promises';
import { openScheduler, type SchedulerConfig } from '@livegate/worker/scheduling/schedule-images';
import sharp from 'sharp';
import { expect, onTestFinished, test } from 'vitest';
import { schedulerConfig } from '@livegate/testing/models/scheduler-config';
import {
  meanOfColors,
  type TinyPipeline,
  writeTinyModels,
} from '@livegate/testing/models/tiny-pipeline';
import { silentLog } from '@livegate/testing/redis/sandbox';

async function open(given: TinyPipeline, change: Partial<SchedulerConfig> = {}) {
  const modelsDir = await writeTinyModels(given);
  onTestFinished(() => rm(modelsDir, { recursive: true }));
  const deps = { log: silentLog, onLost: () => expect.unreachable() };
  const pipeline = await openScheduler({ ...schedulerConfig, modelsDir, ...change }, deps);
  onTestFinished(() => pipeline.close());
  return pipeline;
}

function draw(background: string): Promise<Buffer> {
  return sharp({ create: { width: 8, height: 8, channels: 3, background } })
    .png()
    .toBuffer();
}

const classes = ['live' as const, 'spoof' as const];
const output = { name: 'output', values: 'probabilities' as const, classes };
const input = { width: 4, height: 4, channels: 'RGB', subtract: 0, multiply: 1 } as const;

test.each<[string, TinyPipeline, string]>([
  [
    'another number of classes',
    { classifier: { entry: { output } } },
    'model tiny-liveness: output "output" has 3 classes, the catalogue names 2',
  ],
  [
    'an input with another name',
    { classifier: { entry: { input: { ...input, name: 'data' } as never } } },
    'model tiny-liveness does not take one input "data" of float32 [any batch, 3, 4, 4], ' +
      'its inputs are: "input" of float32 [batch, 3, 4, 4]',
  ],
  [
    'an input with another size',
    { detector: { entry: { input: { ...input, name: 'input', width: 8 } as never } } },
    'model tiny-detect does not take one input "input" of float32 [any batch, 3, 4, 8]',
  ],
])('a worker with %s in its catalogue does not start, and says why', async (_, given, reason) => {
  await expect(open(given)).rejects.toThrow(reason);
});

test('a score that is not a finite number fails only its image, without a verdict', async () => {
  // The score is 0 for black, and NaN for any other color.
  const nodes = [
    meanOfColors('light'),
    { type: 'Neg', inputs: ['light'], output: 'dark' },
    { type: 'Sqrt', inputs: ['dark'], output: 'output' },
  ];
  const layout = { engines: 1, intraOpThreads: 1, maxBatch: 3 };
  const pipeline = await open({ classifier: { nodes } }, { layout, lingerMs: 1000 });
  const images = await Promise.all(['black', 'white', 'black'].map(draw));
  const ended = await Promise.allSettled(images.map((image) => pipeline.assess(image)));
  const scored = { status: 'fulfilled', value: { assessment: { kind: 'scored' } } };
  const message = expect.stringContaining('contains a value that is not finite') as string;
  expect(ended).toMatchObject([scored, { status: 'rejected', reason: { message } }, scored]);
});
