import type { CheckResult, Quality } from '@livegate/core/domain';

/** Of a good picture, with as many digits as a real one: its size in Redis counts. */
export const typicalQuality: Quality = {
  codes: [],
  face: { left: 0.3132, top: 0.2311, width: 0.3781, height: 0.4912 },
  measures: {
    inside: 0.9011,
    margin: 0.8106,
    facePixels: 237,
    offset: 0.0333,
    lightest: 154,
    white: 0.0012,
    blur: 0.0137,
    turn: -0.1045,
    rotation: 0,
  },
};

export const typicalResult: CheckResult = {
  verdict: { kind: 'scored', spoofProbability: 0.02611, status: 'LOW' },
  model: 'fr-detect/0.0.1+01234567, fr-liveness/0.0.1+89abcdef',
  timings: { decodeMs: 6.5, detectMs: 3.8, classifyMs: 22.1, workerMs: 33.2 },
  quality: typicalQuality,
};
