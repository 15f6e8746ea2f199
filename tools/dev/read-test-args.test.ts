import { describe, expect, it } from 'vitest';
import { readTestArgs } from './read-test-args.js';

describe('the arguments of npm test', () => {
  it('that are our own become variables, and all others go to vitest', () => {
    const args = ['--project', 'fuzz', '--seed', '7', '--cases=50', '-t', 'json', '--install'];
    expect(readTestArgs(args)).toEqual({
      vitestArgs: ['--project', 'fuzz', '-t', 'json'],
      settings: { TEST_SEED: '7', TEST_CASES: '50' },
    });
  });

  it('may contain the path of a failing case, which has colons', () => {
    expect(readTestArgs(['--path', '3:0:1']).settings).toEqual({ TEST_PATH: '3:0:1' });
  });

  it.each([['--cases'], ['--cases', 'many'], ['--seconds=-1'], ['--seed=']])(
    'are refused with their name: %s %s',
    (...args) => {
      expect(() => readTestArgs(args.filter((arg) => arg))).toThrow(args[0]?.split('=')[0]);
    },
  );
});
