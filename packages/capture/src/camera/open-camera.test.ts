import { afterEach, describe, expect, it, vi } from 'vitest';
import { openCamera } from './open-camera.js';

afterEach(() => vi.unstubAllGlobals());

/** A browser with these cameras, of which it gives the first one unless another is asked for. */
function stubBrowser(labels: string[], refuse: (constraints: Asked) => string | undefined) {
  const asked: Asked[] = [];
  const stopped: string[] = [];
  const getUserMedia = async ({ video }: { video: Asked }) => {
    asked.push(video);
    const refusal = refuse(video);
    if (refusal !== undefined) throw Object.assign(new Error(), { name: refusal });
    const label = video.deviceId?.exact ?? labels[0]!;
    const track = {
      label,
      getSettings: () => ({ deviceId: label }),
      addEventListener: () => undefined,
      stop: () => stopped.push(label),
    };
    return { getVideoTracks: () => [track], getTracks: () => [track] };
  };
  const devices = labels.map((label) => ({ kind: 'videoinput', label, deviceId: label }));
  const mediaDevices = { getUserMedia, enumerateDevices: async () => devices };
  vi.stubGlobal('navigator', { mediaDevices });
  return { asked, stopped };
}

interface Asked {
  facingMode?: string;
  deviceId?: { exact: string };
  height?: { min: number };
}

const video = () => ({ play: async () => undefined }) as unknown as HTMLVideoElement;
const never = () => undefined;

describe('the camera', () => {
  it('is the front one, with 720 lines or more', async () => {
    const { asked } = stubBrowser(['Front Camera', 'Back Camera'], never);
    const camera = await openCamera(video());
    expect(asked).toMatchObject([{ facingMode: 'user', height: { min: 720 } }]);
    expect(camera).toMatchObject({ kind: 'physical', deviceId: 'Front Camera' });
    expect(camera.choices).toHaveLength(2);
  });

  it.each(['Windows Hello IR Camera', 'OBS Virtual Camera'])(
    'is another one if the browser gives "%s" first',
    async (first) => {
      const { stopped } = stubBrowser([first, 'Integrated Webcam'], never);
      const { deviceId } = await openCamera(video());
      expect(deviceId).toBe('Integrated Webcam');
      expect(stopped).toEqual([first]);
    },
  );

  it('is a virtual one only if there is no other, and says so', async () => {
    stubBrowser(['OBS Virtual Camera'], never);
    expect(await openCamera(video())).toMatchObject({ kind: 'virtual' });
  });

  it('is the one that the person has chosen', async () => {
    stubBrowser(['Front Camera', 'OBS Virtual Camera'], never);
    const { deviceId } = await openCamera(video(), 'OBS Virtual Camera');
    expect(deviceId).toBe('OBS Virtual Camera');
  });

  it('may have fewer lines if it is an old one that has no others', async () => {
    const refuse = ({ height }: Asked) => (height ? 'OverconstrainedError' : undefined);
    const { asked } = stubBrowser(['Old Webcam'], refuse);
    expect(await openCamera(video())).toMatchObject({ deviceId: 'Old Webcam' });
    expect(asked.at(-1)).toEqual({ facingMode: 'user' });
  });

  it.each([
    ['NotAllowedError', 'camera_denied'],
    ['NotFoundError', 'camera_missing'],
    ['NotReadableError', 'camera_busy'],
  ])('that fails by %s is reported as %s', async (name, failure) => {
    stubBrowser(['Webcam'], () => name);
    await expect(openCamera(video())).rejects.toMatchObject({ failure });
  });

  it('is never an infrared one, which is stopped', async () => {
    const { stopped } = stubBrowser(['IR Camera'], never);
    const failure = 'camera_missing';
    await expect(openCamera(video())).rejects.toMatchObject({ failure });
    expect(stopped).toEqual(['IR Camera']);
  });

  it('is unsupported in a browser without the interface', async () => {
    vi.stubGlobal('navigator', {});
    await expect(openCamera(video())).rejects.toMatchObject({ failure: 'camera_unsupported' });
  });
});
