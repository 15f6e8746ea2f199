import { expect, test } from 'vitest';
import { readKnown } from './preprocessing.js';

test('views and a resize are read in the form of their options', () => {
  expect(readKnown({ views: '2.0 reflect, 2.7 zero', resize: 'area' })).toEqual({
    views: [
      { scale: 2, fill: 'reflect' },
      { scale: 2.7, fill: 'zero' },
    ],
    resize: 'area',
  });
  expect(readKnown({ views: '1 zero' })).toEqual({ views: [{ scale: 1, fill: 'zero' }] });
  expect(readKnown({})).toEqual({});
});

test.each([
  ['', '"" is not a view'],
  ['2 reflect,', '"" is not a view'],
  ['2', '"2" is not a view'],
  ['2 mirror', '"2 mirror" is not a view'],
  ['2reflect', '"2reflect" is not a view'],
  ['reflect 2', '"reflect 2" is not a view'],
  ['-2 zero', '"-2 zero" is not a view'],
  ['2e0 zero', '"2e0 zero" is not a view'],
  ['0 zero', 'a scale of 0.5 to 10, a fill of zero or reflect'],
  ['10.1 zero', 'a scale of 0.5 to 10'],
  ['2 zero 3 zero', '"2 zero 3 zero" is not a view'],
  ['2 zero,2.0 zero', 'has "2 zero" twice'],
])('--views "%s" is refused with what is wrong', (views, problem) => {
  expect(() => readKnown({ views })).toThrow(`--views "${views}"`);
  expect(() => readKnown({ views })).toThrow(problem);
});

test.each(['', 'Area', 'bicubic'])('--resize "%s" is refused with what is possible', (resize) => {
  expect(() => readKnown({ resize })).toThrow(`--resize "${resize}": give bilinear or area`);
});
