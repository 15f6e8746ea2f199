import sharp, { type Sharp } from 'sharp';
import { cutPhoto, SELFIE } from '../dev/sample-photo.js';

const SIZES = {
  VGA: { width: 480, height: 640 },
  '720p': { width: 720, height: 1280 },
  '12 MP': { width: 3024, height: 4032 },
};

export interface Photo {
  name: string;
  jpeg: Buffer;
}

/** The face fills the picture, so that all views show the same pixels. */
const CLOSE_UP = { photo: 2, left: 253, top: 64, width: 384, height: 432 };

export interface Photos {
  selfie: Buffer;
  closeUp: Buffer;
  /** 12 megapixels as phones send them: lying on the side, with a tag that says so, in Display P3. */
  phone: Buffer;
  /** A frame of 720x480. */
  frame: Buffer;
  /** Everyday sizes of the selfie, and of a drawing that the detector takes for a face. */
  sizes: Photo[];
}

/** Must run before a pipeline is opened, which disables sharp's SVG loader in this process. */
export async function makePhotos(): Promise<Photos> {
  const selfie = await cutPhoto(SELFIE).toBuffer();
  const sizes = Object.entries(SIZES).flatMap(([name, size]) => [
    { name: `photo ${name}`, picture: sharp(selfie).resize({ ...size, fit: 'cover' }) },
    { name: `drawn ${name}`, picture: drawFace(size.width, size.height) },
  ]);
  return {
    selfie,
    closeUp: await cutPhoto(CLOSE_UP).toBuffer(),
    phone: await takeByPhone(selfie),
    frame: await toJpeg(sharp(selfie).resize({ width: 720, height: 480, fit: 'cover' })),
    sizes: await Promise.all(
      sizes.map(async ({ name, picture }) => ({ name, jpeg: await toJpeg(picture) })),
    ),
  };
}

async function takeByPhone(selfie: Buffer): Promise<Buffer> {
  const lying = await sharp(selfie)
    .resize({ ...SIZES['12 MP'], fit: 'cover' })
    .rotate(-90)
    .png({ compressionLevel: 1 })
    .toBuffer();
  return await toJpeg(sharp(lying).withIccProfile('p3').withMetadata({ orientation: 6 }));
}

/** A tiny JPEG, padded to `bytes`: decoders ignore trailing bytes. */
export async function makeGreySquare(bytes = 0): Promise<Buffer> {
  const grey = sharp({ create: { width: 64, height: 64, channels: 3, background: 'grey' } });
  const jpeg = await toJpeg(grey);
  return Buffer.concat([jpeg, Buffer.alloc(Math.max(0, bytes - jpeg.length))]);
}

function toJpeg(picture: Sharp): Promise<Buffer> {
  return picture.jpeg({ quality: 92 }).toBuffer();
}

/** A drawn face: an oval with eyes, nose and mouth on a plain background. */
function drawFace(width: number, height: number): Sharp {
  const drawing = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"
    viewBox="0 0 600 800" preserveAspectRatio="xMidYMid slice">
    <radialGradient id="skin">
      <stop offset="0" stop-color="#e6b496"/><stop offset="1" stop-color="#8a6c5a"/>
    </radialGradient>
    <rect width="600" height="800" fill="#445"/>
    <ellipse cx="300" cy="400" rx="150" ry="190" fill="url(#skin)"/>
    <circle cx="240" cy="350" r="16" fill="#281e1e"/><circle cx="360" cy="350" r="16" fill="#281e1e"/>
    <path d="M300 370 L285 440 L312 440" fill="none" stroke="#8a6c5a" stroke-width="6"/>
    <rect x="250" y="490" width="100" height="20" rx="10" fill="#963c3c"/>
  </svg>`;
  return sharp(Buffer.from(drawing)).flatten({ background: 'black' });
}
