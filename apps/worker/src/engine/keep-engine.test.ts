import { expect, onTestFinished, test, vi } from 'vitest';
import { keepEngine } from './keep-engine.js';
import type { AssessedRun } from './messages.js';
import { EngineCrash, type Engine } from './open-engine.js';

const log = { error: () => undefined, fatal: () => undefined } as never;

/** Engines that answer with their number; the first `crashes` of them die of their first run. */
function createEngines(crashes: number) {
  let opened = 0;
  const open = async (): Promise<Engine> => {
    const number = ++opened;
    return {
      async assess() {
        if (number <= crashes) throw new EngineCrash('dead');
        return { answers: [new Error(`of engine ${number}`)] };
      },
      rehearse: async () => undefined,
      warmUp: async () => undefined,
      close: async () => undefined,
    };
  };
  return { open, countOpened: () => opened };
}

test('a crashed engine is replaced; who was in it is told, and who comes next is served', async () => {
  const { open, countOpened } = createEngines(1);
  const engine = await keepEngine(open, { log, onLost: () => expect.unreachable() });
  await expect(engine.assess([])).rejects.toThrow(EngineCrash);
  expect(await engine.assess([])).toEqual({ answers: [new Error('of engine 2')] });
  expect(countOpened()).toBe(2);
});

test('tells how long a run has been going, so that a hung one is seen', async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  let end = (_answer: AssessedRun) => undefined as void;
  const slow: Engine = {
    ...(await createEngines(0).open()),
    assess: () => new Promise((resolve) => (end = resolve)),
  };
  const engine = await keepEngine(async () => slow, { log, onLost: () => expect.unreachable() });
  expect(engine.runMs()).toBe(0);
  const run = engine.assess([]);
  await vi.advanceTimersByTimeAsync(5000);
  expect(engine.runMs()).toBe(5000);
  end({ answers: [] });
  await run;
  expect(engine.runMs()).toBe(0);
});

test('a run that merely fails keeps its engine', async () => {
  const failing: Engine = {
    ...(await createEngines(0).open()),
    assess: () => Promise.reject(new Error('out of memory')),
  };
  const open = vi.fn<() => Promise<Engine>>(async () => failing);
  const engine = await keepEngine(open, { log, onLost: () => expect.unreachable() });
  await expect(engine.assess([])).rejects.toThrow('out of memory');
  await expect(engine.assess([])).rejects.toThrow('out of memory');
  expect(open).toHaveBeenCalledTimes(1);
});

test('when no other engine can be opened, that is told once, and nothing hangs', async () => {
  const { open } = createEngines(1);
  const openOnce = vi
    .fn<typeof open>()
    .mockImplementationOnce(open)
    .mockRejectedValue(new Error('no GPU'));
  const onLost = vi.fn<() => void>();
  const engine = await keepEngine(openOnce, { log, onLost });
  await expect(engine.assess([])).rejects.toThrow(EngineCrash);
  await expect(engine.assess([])).rejects.toThrow('no GPU');
  expect(onLost).toHaveBeenCalledTimes(1);
});
