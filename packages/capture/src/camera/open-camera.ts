import { type CameraKind, classifyCamera, rankCameras } from './choose-camera.js';

export interface Camera {
  kind: CameraKind;
  deviceId: string;
  /** Every camera that the person may choose, this one included. */
  choices: MediaDeviceInfo[];
  /** Aborts when the device is taken away: unplugged, or its permission revoked. */
  lost: AbortSignal;
  stop(): void;
}

export type CameraFailure =
  'camera_denied' | 'camera_missing' | 'camera_busy' | 'camera_unsupported';

export class CameraError extends Error {
  constructor(readonly failure: CameraFailure) {
    super(failure);
  }
}

/** The face must have enough pixels for the classifier: no camera mode below 720 lines. */
const size = { width: { ideal: 1920 }, height: { min: 720, ideal: 1080 } };

/**
 * Shows a camera in the video element: the given one, else the front camera. A first choice of the
 * browser that is infrared or virtual is replaced if there is a better one. Throws `CameraError`.
 */
export async function openCamera(video: HTMLVideoElement, deviceId?: string): Promise<Camera> {
  if (!navigator.mediaDevices?.getUserMedia) throw new CameraError('camera_unsupported');
  let stream: MediaStream | undefined;
  try {
    stream = await request(deviceId);
    // Only now, with the permission, have the devices labels.
    const choices = rankCameras(await listCameras());
    const kind = classifyCamera(trackOf(stream).label);
    if (!deviceId && (kind === 'virtual' || kind === 'infrared')) {
      const better = choices[0];
      if (!better && kind === 'infrared') throw new CameraError('camera_missing');
      if (better && better.deviceId !== idOf(stream)) {
        stop(stream);
        stream = await request(better.deviceId);
      }
    }
    video.srcObject = stream;
    await video.play();
    return describeCamera(stream, choices);
  } catch (error) {
    if (stream) stop(stream);
    throw error instanceof CameraError ? error : new CameraError(failureOf(error));
  }
}

async function request(deviceId?: string): Promise<MediaStream> {
  const which = deviceId ? { deviceId: { exact: deviceId } } : { facingMode: 'user' };
  try {
    return await navigator.mediaDevices.getUserMedia({ video: { ...which, ...size } });
  } catch (error) {
    // An old camera has no such mode. The gateway says whether its picture is good enough.
    if (nameOf(error) !== 'OverconstrainedError') throw error;
    return navigator.mediaDevices.getUserMedia({ video: which });
  }
}

async function listCameras(): Promise<MediaDeviceInfo[]> {
  const devices = await navigator.mediaDevices.enumerateDevices();
  return devices.filter(({ kind, deviceId }) => kind === 'videoinput' && deviceId !== '');
}

function describeCamera(stream: MediaStream, choices: MediaDeviceInfo[]): Camera {
  const lost = new AbortController();
  trackOf(stream).addEventListener('ended', () => lost.abort());
  return {
    kind: classifyCamera(trackOf(stream).label),
    deviceId: idOf(stream),
    choices,
    lost: lost.signal,
    stop: () => stop(stream),
  };
}

const trackOf = (stream: MediaStream) => stream.getVideoTracks()[0]!;
const idOf = (stream: MediaStream) => trackOf(stream).getSettings().deviceId ?? '';
const nameOf = (error: unknown) => (error instanceof Error ? error.name : '');

function stop(stream: MediaStream): void {
  for (const track of stream.getTracks()) track.stop();
}

function failureOf(error: unknown): CameraFailure {
  const name = nameOf(error);
  if (name === 'NotAllowedError' || name === 'SecurityError') return 'camera_denied';
  if (name === 'NotFoundError' || name === 'OverconstrainedError') return 'camera_missing';
  return 'camera_busy';
}
