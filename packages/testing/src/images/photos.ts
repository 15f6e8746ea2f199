import { readFile } from 'node:fs/promises';
import sharp from 'sharp';
import { cutPhoto, type PhotoCut, samplePhotoPath } from '../../../../tools/dev/sample-photo.js';

// Each cut contains one face that is found at the default threshold.
const faceCuts = {
  'photo 1 left': { photo: 1, left: 219, top: 155, width: 576, height: 704 },
  'photo 1 middle': { photo: 1, left: 602, top: 171, width: 656, height: 816 },
  'photo 1 right': { photo: 1, left: 1247, top: 0, width: 672, height: 816 },
  'photo 2 right': { photo: 2, left: 1200, top: 0, width: 688, height: 832 },
  'photo 3 left': { photo: 3, left: 275, top: 0, width: 832, height: 1024 },
  'photo 3 middle': { photo: 3, left: 829, top: 0, width: 720, height: 880 },
  'photo 4 left': { photo: 4, left: 35, top: 0, width: 624, height: 768 },
  /** Bona fide too, but the default models call it a spoof: the only face with the verdict HIGH. */
  'photo 2 left': { photo: 2, left: 253, top: 64, width: 384, height: 432 },
} satisfies Record<string, PhotoCut>;

export type FaceName = keyof typeof faceCuts;

export const faceNames = Object.keys(faceCuts) as FaceName[];

/** One face with background around it, as JPEG. */
export async function face(name: FaceName): Promise<Buffer> {
  return cutPhoto(faceCuts[name]).toBuffer();
}

/** All faces, in the order of `faceNames`. */
export async function faces(): Promise<Buffer[]> {
  return Promise.all(faceNames.map(face));
}

/** The face that scores LOW by a wide margin. */
export async function selfie(): Promise<Buffer> {
  return face('photo 1 left');
}

/** Three people of equal size, 1920x1280. */
export async function groupPhoto(): Promise<Buffer> {
  return readFile(samplePhotoPath(1));
}

/** A selfie with a second face in the background, `ratio` times the size of the first. */
export async function selfieWithPasserBy(ratio: number): Promise<Buffer> {
  const { width, height } = faceCuts['photo 1 left'];
  const passerBy = await sharp(await face('photo 1 middle'))
    .resize({ width: Math.round(width * ratio) })
    .toBuffer();
  return sharp({ create: { width: 2 * width, height, channels: 3, background: 'gray' } })
    .composite([
      { input: await selfie(), left: 0, top: 0 },
      { input: passerBy, left: width + 100, top: 100 },
    ])
    .jpeg({ quality: 92 })
    .toBuffer();
}

/** A face cut at its edges: only the second detector run, with padding around the photo, finds it. */
export async function tightCrop(): Promise<Buffer> {
  return cutPhoto({ photo: 2, left: 358, top: 114, width: 176, height: 296 }).toBuffer();
}

/** A drawn disc with spots, 370x370, which the detector takes for a square face. */
export async function roundThing(): Promise<Buffer> {
  const drawing = `<svg xmlns="http://www.w3.org/2000/svg" width="370" height="370">
    <radialGradient id="skin">
      <stop offset="0" stop-color="#e6b496"/><stop offset="1" stop-color="#8a6c5a"/>
    </radialGradient>
    <circle cx="185" cy="185" r="185" fill="url(#skin)"/>
    <circle cx="122" cy="148" r="18" fill="#281e1e"/><circle cx="248" cy="148" r="18" fill="#281e1e"/>
    <rect x="130" y="255" width="110" height="22" fill="#963c3c"/>
  </svg>`;
  return sharp(Buffer.from(drawing)).flatten({ background: 'black' }).jpeg().toBuffer();
}

/** A 64x64 image in both accepted types. */
export async function greySquare(): Promise<{ jpeg: Buffer; png: Buffer }> {
  const grey = sharp({ create: { width: 64, height: 64, channels: 3, background: 'grey' } });
  return { jpeg: await grey.clone().jpeg().toBuffer(), png: await grey.clone().png().toBuffer() };
}

/** A color gradient without a face, 640x480. */
export async function noFace(): Promise<Buffer> {
  const [width, height] = [640, 480];
  const pixels = Uint8Array.from({ length: 3 * width * height }, (_, i) => {
    const x = Math.floor(i / 3) % width;
    const y = Math.floor(i / 3 / width);
    return [(255 * x) / width, (255 * y) / height, 128][i % 3]!;
  });
  return sharp(pixels, { raw: { width, height, channels: 3 } })
    .jpeg()
    .toBuffer();
}
