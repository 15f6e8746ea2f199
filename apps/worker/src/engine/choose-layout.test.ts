import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { expect, test } from 'vitest';
import { chooseLayout, type LayoutSettings, type Machine } from './choose-layout.js';

const fourCores: Machine = { executionProvider: 'cpu', cpus: 4, devices: 1 };
const twoGpus: Machine = { executionProvider: 'cuda', cpus: 16, devices: 2 };
const nothingSet: LayoutSettings = {
  engines: undefined,
  intraOpThreads: undefined,
  maxBatch: undefined,
};

/** A machine whose speed is a formula; it records the measurements and counts open candidates. */
function createMachine(rate: (threads: number, batch: number) => number) {
  const measured: string[] = [];
  let open = 0;
  const openCandidate = async ({ engines = 0, intraOpThreads = 0 }) => {
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
  return { openCandidate, measured, countOpen: () => open };
}

/** The measuring of the parts that are not configured is asked for. */
const asked = { ...nothingSet, measure: true };

test('on a CPU, each core gets an engine with one thread and two images a run by default', async () => {
  const openCandidate = () => expect.unreachable('a busy machine must not choose the layout');
  const known = { engines: 4, intraOpThreads: 1, maxBatch: 2 };
  expect(await chooseLayout(nothingSet, fourCores, openCandidate)).toEqual(known);
  const twoThreads = { ...nothingSet, intraOpThreads: 2 };
  const halved = { engines: 2, intraOpThreads: 2, maxBatch: 2 };
  expect(await chooseLayout(twoThreads, fourCores, openCandidate)).toEqual(halved);
});

test('where measuring is asked for, other layouts are measured in turns with the known one', async () => {
  const machine = createMachine((threads) => 100 + threads);
  expect(await chooseLayout(asked, fourCores, machine.openCandidate)).toEqual({
    engines: 4,
    intraOpThreads: 1,
    maxBatch: 2,
  });
  const others = ['2x2 by 2', '1x4 by 2', '4x1 by 4', '4x1 by 1'];
  expect(machine.measured).toEqual(others.flatMap((other) => ['4x1 by 2', other]));
  expect(machine.countOpen()).toBe(0);
});

test('fewer engines with more threads are chosen when they are clearly faster', async () => {
  const { openCandidate, countOpen } = createMachine((threads) => (threads === 2 ? 150 : 100));
  expect(await chooseLayout(asked, fourCores, openCandidate)).toMatchObject({
    engines: 2,
    intraOpThreads: 2,
  });
  expect(countOpen()).toBe(0);
});

test('a layout that is not clearly faster in one of seven rounds is not chosen', async () => {
  let calls = 0;
  const { openCandidate } = createMachine((threads) => {
    if (threads === 2 && ++calls === 7) return 105;
    return threads === 2 ? 150 : 100;
  });
  expect(await chooseLayout(asked, fourCores, openCandidate)).toMatchObject({ engines: 4 });
  expect(calls).toBe(7);
});

test('another program that uses cores at random times never changes the layout', async () => {
  const random = xoroshiro128plus(19);
  /** Any measurement may get only half of the cores. */
  const rateUnderHog = () => 50 * uniformInt(random, 1, 2);
  for (let start = 0; start < 1000; start++) {
    const { openCandidate } = createMachine(rateUnderHog);
    const known = { engines: 4, intraOpThreads: 1 };
    expect(await chooseLayout(asked, fourCores, openCandidate)).toMatchObject(known);
  }
});

test('on accelerators, the batch size is quadrupled while that is clearly faster', async () => {
  // Like a GPU that takes 4 ms a run and 0.25 ms an image.
  const machine = createMachine((_, batch) => batch / (4 + batch / 4));
  const layout = await chooseLayout(nothingSet, twoGpus, machine.openCandidate);
  expect(layout).toEqual({ engines: 8, intraOpThreads: 1, maxBatch: 64 });
  const round = ['2x1 by 16', '2x1 by 64'];
  expect(machine.measured).toEqual([...round, ...round, ...round]);
  expect(machine.countOpen()).toBe(0);
});

test('on accelerators, a batch of 16 stays unless another one is clearly faster', async () => {
  // The H100 of docs/explanation/performance.md, in images/s: 64 is no better than 16.
  const rates: Record<number, number> = { 1: 270, 4: 589, 16: 1254, 64: 1400 };
  const { openCandidate, measured } = createMachine((_, batch) => rates[batch]!);
  expect(await chooseLayout(nothingSet, twoGpus, openCandidate)).toMatchObject({ maxBatch: 16 });
  expect(new Set(measured)).toEqual(new Set(['2x1 by 16', '2x1 by 64', '2x1 by 4']));
});

test('on accelerators, a smaller batch is chosen when it is clearly faster', async () => {
  const { openCandidate } = createMachine((_, batch) => 100 / batch);
  expect(await chooseLayout(nothingSet, twoGpus, openCandidate)).toMatchObject({ maxBatch: 1 });
});

test('engines of accelerators leave half of the cores for decoding', async () => {
  const { openCandidate } = createMachine(() => 1);
  const countEngines = async (cpus: number) =>
    (await chooseLayout({ ...nothingSet, maxBatch: 16 }, { ...twoGpus, cpus }, openCandidate))
      .engines;
  expect(await countEngines(2)).toBe(2);
  expect(await countEngines(8)).toBe(4);
  expect(await countEngines(64)).toBe(8);
});

test('configured parts of the layout are not measured', async () => {
  const { openCandidate, measured } = createMachine(() => 1);
  const layout = { engines: 3, intraOpThreads: 2, maxBatch: 16 };
  const settings = { ...layout, measure: true };
  expect(await chooseLayout(settings, fourCores, openCandidate)).toEqual(layout);
  expect(measured).toEqual([]);

  await chooseLayout({ ...settings, maxBatch: undefined }, fourCores, openCandidate);
  expect(new Set(measured)).toEqual(new Set(['3x2 by 2', '3x2 by 4', '3x2 by 1']));
});

test('more threads than cores are used only if they are configured', async () => {
  const { openCandidate, measured } = createMachine(() => 1);
  await chooseLayout({ ...asked, maxBatch: 1 }, { ...fourCores, cpus: 1 }, openCandidate);
  expect(measured).toEqual([]);
  await chooseLayout({ ...asked, intraOpThreads: 8 }, fourCores, openCandidate);
  expect(new Set(measured)).toEqual(new Set(['1x8 by 2', '1x8 by 4', '1x8 by 1']));
});
