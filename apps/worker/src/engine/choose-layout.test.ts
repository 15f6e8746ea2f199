import { expect, test } from 'vitest';
import { chooseLayout, type LayoutSettings, type Machine } from './choose-layout.js';

const fourCores: Machine = { executionProvider: 'cpu', cpus: 4, devices: 1 };
const twoGpus: Machine = { executionProvider: 'cuda', cpus: 16, devices: 2 };
const nothingSet: LayoutSettings = {
  engines: undefined,
  intraOpThreads: undefined,
  maxBatch: undefined,
};

/** A machine whose speed is a formula; it records the measurements and counts open trials. */
function createMachine(rate: (threads: number, batch: number) => number) {
  const measured: string[] = [];
  let open = 0;
  const openTrial = async ({ engines = 0, intraOpThreads = 0 }) => {
    open++;
    return {
      async measure(batch: number) {
        measured.push(`${engines}x${intraOpThreads} by ${batch}`);
        return rate(intraOpThreads, batch);
      },
      async close() {
        open--;
      },
    };
  };
  return { openTrial, measured, countOpen: () => open };
}

test('on a CPU, every core gets an engine with one image a batch unless another layout is faster', async () => {
  const { openTrial, measured, countOpen } = createMachine((threads) => 100 + threads);
  expect(await chooseLayout(nothingSet, fourCores, openTrial)).toEqual({
    engines: 4,
    intraOpThreads: 1,
    maxBatch: 1,
  });
  expect(measured).toEqual(['4x1 by 1', '2x2 by 1', '1x4 by 1', '4x1 by 2']);
  expect(countOpen()).toBe(0);
});

test('fewer engines with more threads are chosen when they are clearly faster', async () => {
  const { openTrial } = createMachine((threads) => (threads === 2 ? 150 : 100));
  expect(await chooseLayout(nothingSet, fourCores, openTrial)).toMatchObject({
    engines: 2,
    intraOpThreads: 2,
  });
});

test('on accelerators, the batch size is quadrupled while that is clearly faster', async () => {
  // Like a GPU that takes 4 ms a run and 0.25 ms an image.
  const { openTrial, measured, countOpen } = createMachine((_, batch) => batch / (4 + batch / 4));
  const layout = await chooseLayout(nothingSet, twoGpus, openTrial);
  expect(layout).toEqual({ engines: 8, intraOpThreads: 1, maxBatch: 64 });
  expect(measured).toEqual(['2x1 by 1', '2x1 by 4', '2x1 by 16', '2x1 by 64']);
  expect(countOpen()).toBe(0);
});

test('the search ends with a batch size that is not clearly faster', async () => {
  // The H100 of docs/explanation/performance.md, in images/s: 64 is no better than 16.
  const rates: Record<number, number> = { 1: 270, 4: 589, 16: 1254, 64: 1400 };
  const { openTrial, measured } = createMachine((_, batch) => rates[batch]!);
  expect(await chooseLayout(nothingSet, twoGpus, openTrial)).toMatchObject({ maxBatch: 16 });
  expect(measured.at(-1)).toBe('2x1 by 64');
});

test('engines of accelerators leave half of the cores for decoding', async () => {
  const { openTrial } = createMachine(() => 1);
  const countEngines = async (cpus: number) =>
    (await chooseLayout({ ...nothingSet, maxBatch: 16 }, { ...twoGpus, cpus }, openTrial)).engines;
  expect(await countEngines(2)).toBe(2);
  expect(await countEngines(8)).toBe(4);
  expect(await countEngines(64)).toBe(8);
});

test('configured parts of the layout are not measured', async () => {
  const { openTrial, measured } = createMachine(() => 1);
  const settings = { engines: 3, intraOpThreads: 2, maxBatch: 16 };
  expect(await chooseLayout(settings, fourCores, openTrial)).toEqual(settings);
  expect(measured).toEqual([]);

  await chooseLayout({ ...settings, maxBatch: undefined }, fourCores, openTrial);
  expect(measured).toEqual(['3x2 by 1', '3x2 by 2']);
});

test('more threads than cores are used only if they are configured', async () => {
  const { openTrial, measured } = createMachine(() => 1);
  await chooseLayout({ ...nothingSet, maxBatch: 1 }, { ...fourCores, cpus: 1 }, openTrial);
  await chooseLayout({ ...nothingSet, intraOpThreads: 8 }, fourCores, openTrial);
  expect(measured).toEqual(['1x8 by 1', '1x8 by 2']);
});
