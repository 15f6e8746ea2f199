import { expect, onTestFinished, test, vi } from 'vitest';
import { type Engine, EngineCrash } from './open-engine.js';
import { superviseEngine } from './open-engines.js';

const log = { error: () => undefined, fatal: () => undefined } as never;

/** Engines that answer with their number; the first `crashes` of them crash in their first run. */
function createEngines(crashes: number) {
  let opened = 0;
  const open = async (): Promise<Engine> => {
    const number = ++opened;
    return {
      async assess() {
        if (number <= crashes) throw new EngineCrash('dead');
        return { answers: [new Error(`of engine ${number}`)], runMs: 0 };
      },
      runEmpty: async () => undefined,
      warmUp: async () => undefined,
      runPractice: async () => undefined,
      close: async () => undefined,
    };
  };
  return { open, countOpened: () => opened };
}

test('a crashed engine rejects its run, and its replacement serves the next one', async () => {
  const { open, countOpened } = createEngines(1);
  const engine = await superviseEngine(open, { log, onLost: () => expect.unreachable() });
  await expect(engine.assess([])).rejects.toThrow(EngineCrash);
  expect(await engine.assess([])).toMatchObject({ answers: [new Error('of engine 2')] });
  expect(countOpened()).toBe(2);
});

test('a crash rejects the queued runs as well, and opens one replacement', async () => {
  const { open, countOpened } = createEngines(1);
  const engine = await superviseEngine(open, { log, onLost: () => expect.unreachable() });
  const runs = await Promise.allSettled([engine.assess([]), engine.assess([])]);
  expect(runs.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  expect(await engine.assess([])).toMatchObject({ answers: [new Error('of engine 2')] });
  expect(countOpened()).toBe(2);
});

test('the engine reports the number of its runs and the age of the present one', async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const ends: (() => void)[] = [];
  const slow: Engine = {
    ...(await createEngines(0).open()),
    assess: () =>
      new Promise((resolve) => {
        ends.push(() => resolve({ answers: [], runMs: 0 }));
      }),
  };
  const engine = await superviseEngine(async () => slow, {
    log,
    onLost: () => expect.unreachable(),
  });
  const state = () => [engine.runs(), engine.runMs()];
  expect(state()).toEqual([0, 0]);
  const runs = [engine.assess([]), engine.assess([])];
  await vi.advanceTimersByTimeAsync(5000);
  expect(state()).toEqual([2, 5000]);
  ends[0]!();
  await runs[0];
  expect(state()).toEqual([1, 0]);
  await vi.advanceTimersByTimeAsync(3000);
  expect(state()).toEqual([1, 3000]);
  ends[1]!();
  await runs[1];
  expect(state()).toEqual([0, 0]);
});

test('a run that waits for a replacement engine does not count as running', async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const { open } = createEngines(1);
  let isFirst = true;
  const slowly = async () => {
    if (!isFirst) await new Promise((resolve) => setTimeout(resolve, 60_000));
    isFirst = false;
    return await open();
  };
  const engine = await superviseEngine(slowly, { log, onLost: () => expect.unreachable() });
  const crashed = engine.assess([]).catch(() => engine.assess([]));
  await vi.advanceTimersByTimeAsync(59_000);
  expect([engine.runs(), engine.runMs()]).toEqual([1, 0]);
  await vi.advanceTimersByTimeAsync(1000);
  expect(await crashed).toMatchObject({ answers: [new Error('of engine 2')] });
});

test('a run that fails without a crash does not replace the engine', async () => {
  const failing: Engine = {
    ...(await createEngines(0).open()),
    assess: () => Promise.reject(new Error('out of memory')),
  };
  const open = vi.fn<() => Promise<Engine>>(async () => failing);
  const engine = await superviseEngine(open, { log, onLost: () => expect.unreachable() });
  await expect(engine.assess([])).rejects.toThrow('out of memory');
  await expect(engine.assess([])).rejects.toThrow('out of memory');
  expect(open).toHaveBeenCalledTimes(1);
});

test('onLost is called once when no replacement opens, and later runs reject', async () => {
  const { open } = createEngines(1);
  const openOnce = vi
    .fn<typeof open>()
    .mockImplementationOnce(open)
    .mockRejectedValue(new Error('no GPU'));
  const onLost = vi.fn<() => void>();
  const engine = await superviseEngine(openOnce, { log, onLost });
  await expect(engine.assess([])).rejects.toThrow(EngineCrash);
  await expect(engine.assess([])).rejects.toThrow('no GPU');
  expect(onLost).toHaveBeenCalledTimes(1);
});
