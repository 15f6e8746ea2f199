import { expect, it } from 'vitest';
import { presentVerdict } from './present-check.js';

it.each(['LOW', 'MODERATE', 'HIGH'] as const)(
  'a score of the class %s is a success, because a face was scored',
  (status) => {
    expect(presentVerdict({ kind: 'scored', spoofProbability: 0.5678, status })).toEqual({
      status: 'success',
      result: { spoof_percentage: 0.5678, status },
    });
  },
);

it.each([
  ['no_face', 'face not detected'],
  ['too_many_faces', 'too many faces detected'],
] as const)('%s is a failure with spoof_percentage 1', (kind, status) => {
  expect(presentVerdict({ kind })).toEqual({
    status: 'failed',
    result: { spoof_percentage: 1, status },
  });
});
