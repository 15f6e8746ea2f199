import { describe, expect, it } from 'vitest';
import { type CameraKind, classifyCamera, rankCameras } from './choose-camera.js';

describe('the label of a camera', () => {
  it.each<[string, CameraKind]>([
    ['', 'unknown'],
    ['FaceTime HD Camera', 'physical'],
    ['camera2 1, facing front', 'physical'],
    ['HD Pro Webcam C920 (046d:082d)', 'physical'],
    ['Dell IR Camera', 'infrared'],
    ['Windows Hello Face Camera', 'infrared'],
    ['Surface Camera Front Infrared', 'infrared'],
    ['OBS Virtual Camera', 'virtual'],
    ['ManyCam', 'virtual'],
    ['Snap Camera', 'virtual'],
    ['Dummy video device (0x0000)', 'virtual'],
    ['fake_device_0', 'virtual'],
    ['/tmp/attack.y4m', 'virtual'],
  ])('%j names a camera of the kind %s', (label, kind) => {
    expect(classifyCamera(label)).toBe(kind);
  });
});

it('the front camera comes first, a virtual one last, an infrared one never', () => {
  const labels = [
    'OBS Virtual Camera',
    'Back Camera',
    'IR Camera',
    'Integrated Webcam',
    'Front Camera',
  ];
  const ranked = rankCameras(labels.map((label) => ({ deviceId: label, label })));
  expect(ranked.map(({ label }) => label)).toEqual([
    'Front Camera',
    'Integrated Webcam',
    'Back Camera',
    'OBS Virtual Camera',
  ]);
});
