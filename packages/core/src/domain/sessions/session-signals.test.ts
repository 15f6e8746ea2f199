import { describe, expect, it } from 'vitest';
import { type CaptureFacts, findSignals, type SessionSignal } from './session-signals.js';

const honest: CaptureFacts = {
  source: 'camera',
  frameAgeMs: 300,
  frames: 90,
  frameJitterMs: 1.5,
  camera: 'physical',
};
const minute = 60_000;
const find = (facts: CaptureFacts, sessionAgeMs = 10 * minute) => findSignals(facts, sessionAgeMs);

describe('the facts of a photo', () => {
  it.each<[string, CaptureFacts]>([
    ['a frame of a camera', honest],
    ['a camera without a label', { ...honest, camera: 'unknown' }],
    ['a photo that the person looked at for minutes', { ...honest, frameAgeMs: 4 * minute }],
    ['a photo sent at once', { ...honest, frameAgeMs: 0 }],
    ['a photo after exactly five minutes', { ...honest, frameAgeMs: 5 * minute }],
    ['frames with the least jitter of a camera', { ...honest, frames: 30, frameJitterMs: 0.01 }],
    ['a few frames at equal distances', { ...honest, frames: 29, frameJitterMs: 0 }],
  ])('of %s give no signal', (_name, facts) => {
    expect(find(facts)).toEqual([]);
  });

  it.each<[SessionSignal, string, CaptureFacts]>([
    ['file_upload', 'a chosen file', { source: 'file' }],
    ['no_capture_facts', 'no facts', {}],
    ['no_capture_facts', 'facts without their source', { ...honest, source: undefined }],
    ['no_capture_facts', 'a camera without frames', { source: 'camera', frameAgeMs: 1 }],
    ['stale_frame', 'an old frame', { ...honest, frameAgeMs: 5 * minute + 1 }],
    ['stale_frame', 'a frame of the future', { ...honest, frameAgeMs: -1 }],
    ['virtual_camera', 'the label of a virtual camera', { ...honest, camera: 'virtual' }],
    ['steady_frames', 'frames without jitter', { ...honest, frames: 30, frameJitterMs: 0 }],
  ])('give %s for %s', (signal, _name, facts) => {
    expect(find(facts)).toEqual([signal]);
  });

  it('give stale_frame for a frame that is older than its session', () => {
    expect(find({ ...honest, frameAgeMs: 2001 }, 2000)).toEqual(['stale_frame']);
  });

  it('give several signals at once', () => {
    const facts: CaptureFacts = { ...honest, camera: 'virtual', frameAgeMs: -1, frameJitterMs: 0 };
    expect(find(facts)).toEqual(['stale_frame', 'virtual_camera', 'steady_frames']);
  });
});
