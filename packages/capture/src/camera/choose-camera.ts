/** What the label of a camera says about it. The label itself never leaves the browser. */
export type CameraKind = 'physical' | 'virtual' | 'infrared' | 'unknown';

export interface CameraLabel {
  deviceId: string;
  label: string;
}

const kinds: [CameraKind, RegExp][] = [
  // Windows lists the sensor of its face login beside the color camera.
  ['infrared', /\bIR\b|infra-?red|windows hello|depth|thermal/i],
  [
    'virtual',
    // The last ones are Chromium's own fake cameras.
    /virtual|\bOBS\b|manycam|snap ?camera|xsplit|splitcam|mmhmm|\bcamo\b|droidcam|epoccam|iriun|\bndi\b|v4l2 ?loopback|dummy|screen|fake|\.(mjpeg|y4m)$/i,
  ],
];
const back = /\b(back|rear|environment|belakang|world)\b/i;
const front = /\b(front|user|selfie|facetime|depan)\b/i;

export function classifyCamera(label: string): CameraKind {
  if (label === '') return 'unknown';
  return kinds.find(([, pattern]) => pattern.test(label))?.[0] ?? 'physical';
}

/**
 * The cameras that can take a selfie, the best first: front before others before back cameras, virtual
 * ones last. Infrared cameras are left out.
 */
export function rankCameras<Device extends CameraLabel>(devices: Device[]): Device[] {
  return devices
    .filter(({ label }) => classifyCamera(label) !== 'infrared')
    .sort((a, b) => rank(a.label) - rank(b.label));
}

function rank(label: string): number {
  if (classifyCamera(label) === 'virtual') return 3;
  if (back.test(label)) return 2;
  return front.test(label) ? 0 : 1;
}
