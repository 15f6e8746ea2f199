import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { face, selfie } from '../images/photos.js';

const wide = { width: 1280, height: 720 };
const upright = { width: 720, height: 1280 };
/** Chromium plays them at 30 frames a second, again and again. */
const FRAMES = 6;

/** A face with no weakness by the gateway's quality codes: upright, well lit, sharp. */
const person = () => face('photo 3 left');

/** What stands in front of the camera. */
const scenes = {
  selfie: async () => [{ image: await person(), scale: 0.69 }],
  close: async () => [{ image: await selfie(), scale: 1.9 }],
  'a tilted head': async () => [{ image: await face('photo 1 right'), scale: 0.85 }],
  far: async () => [{ image: await selfie(), scale: 0.5 }],
  'two people': async () => [
    { image: await selfie(), scale: 0.75, x: -216 },
    { image: await face('photo 1 middle'), scale: 0.7, x: 216 },
  ],
  aside: async () => [{ image: await selfie(), scale: 0.8, x: -330 }],
  nobody: async () => [],
} satisfies Record<string, () => Promise<Placed[]>>;

export interface CameraScene {
  shows: keyof typeof scenes;
  /** As of a phone that is held upright. */
  isUpright?: boolean;
  /** Multiplies the luma. */
  light?: number;
  /** Pixels that everything moves from one frame to the next. */
  motion?: number;
}

interface Placed {
  image: Buffer;
  scale: number;
  /** Distance of its middle from the middle of the picture, in pixels. */
  x?: number;
}

export interface FakeCamera {
  /** For `openBrowser`. */
  flags: string[];
  /** What the camera shows from the next time that a page opens it. */
  show(scene: CameraScene): Promise<void>;
  remove(): Promise<void>;
}

/** Chromium's fake camera, which plays a video that is made here from the faces of the fixtures. */
export async function createFakeCamera(): Promise<FakeCamera> {
  const folder = await mkdtemp(join(tmpdir(), 'livegate-camera-'));
  const file = join(folder, 'camera.mjpeg');
  const show = async (scene: CameraScene) => {
    await writeFile(`${file}.new`, await makeVideo(scene));
    await rename(`${file}.new`, file);
  };
  await show({ shows: 'nobody' });
  const flags = ['--use-fake-device-for-media-stream', `--use-file-for-fake-video-capture=${file}`];
  return { flags, show, remove: () => rm(folder, { recursive: true }) };
}

/** Motion JPEG: one JPEG after the other. */
async function makeVideo(scene: CameraScene): Promise<Buffer> {
  const { shows, light = 1, motion = 0, isUpright = false } = scene;
  const size = isUpright ? upright : wide;
  const picture = await compose(await scenes[shows](), size);
  const frames = Array.from({ length: FRAMES }, (_, n) => {
    // There and back, so that the last frame is beside the first.
    const shift = motion * Math.min(n, FRAMES - n);
    return (
      sharp(picture)
        .extend({ left: shift, background: '#8a8f96' })
        .extract({ left: 0, top: 0, ...size })
        // A sensor has noise: no frame equals the one before.
        .linear(light, n % 3)
        .jpeg({ quality: 90 })
        .toBuffer()
    );
  });
  return Buffer.concat(await Promise.all(frames));
}

/** Without faces: a room that is a little different each time, so that no two videos are equal. */
async function compose(placed: Placed[], size: typeof wide): Promise<Buffer> {
  const room = sharp(Buffer.from(drawRoom(size)));
  const layers = placed.map(async ({ image, scale, x = 0 }) => {
    const { width } = await sharp(image).metadata();
    const scaled = sharp(image).resize({ width: Math.round(width * scale) });
    const { data, info } = await scaled.toBuffer({ resolveWithObject: true });
    const [left, top] = [size.width / 2 + x - info.width / 2, (size.height - info.height) / 2];
    // sharp refuses a layer that is larger than the picture.
    const cut = {
      left: Math.max(-Math.round(left), 0),
      top: Math.max(-Math.round(top), 0),
      width: Math.min(info.width, size.width),
      height: Math.min(info.height, size.height),
    };
    const input = await sharp(data).extract(cut).toBuffer();
    return { input, left: Math.max(Math.round(left), 0), top: Math.max(Math.round(top), 0) };
  });
  return room
    .composite(await Promise.all(layers))
    .png()
    .toBuffer();
}

function drawRoom({ width, height }: typeof wide): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">
    <linearGradient id="wall" x2="0" y2="1">
      <stop offset="0" stop-color="#a5abb3"/><stop offset="1" stop-color="#5d646d"/>
    </linearGradient>
    <rect width="100%" height="100%" fill="url(#wall)"/>
    <rect x="80" y="${Math.round(200 * Math.random())}" width="120" height="480" fill="#4a515a"/>
    <rect x="90" y="${Math.round(600 * Math.random())}" width="60" height="30" fill="#6b5a4a"/>
    <path d="M1060 90h120l40 120h-200z" fill="#d8cfae"/>
  </svg>`;
}
