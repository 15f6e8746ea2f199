// Images in unusual, expensive or invalid encodings.
import sharp from 'sharp';

export * from './color-profiles.js';
export * from './odd-jpegs.js';
export * from './odd-pngs.js';
export * from './png-chunks.js';

export type Orientation = 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8;

export const orientations: Orientation[] = [1, 2, 3, 4, 5, 6, 7, 8];

/** How the pixels are stored for each orientation; a viewer that obeys the EXIF tag undoes it. */
const storedAs: Record<Orientation, { rotate: 0 | 90 | 180 | 270; mirror: boolean }> = {
  1: { rotate: 0, mirror: false },
  2: { rotate: 0, mirror: true },
  3: { rotate: 180, mirror: false },
  4: { rotate: 180, mirror: true },
  5: { rotate: 90, mirror: true },
  6: { rotate: 270, mirror: false },
  7: { rotate: 270, mirror: true },
  8: { rotate: 90, mirror: false },
};

/** The photo as a rotated camera stores it: rotated pixels and the EXIF orientation tag. */
export async function oriented(photo: Buffer, orientation: Orientation): Promise<Buffer> {
  const { rotate, mirror } = storedAs[orientation];
  const rotated = await sharp(photo).rotate(rotate).png().toBuffer();
  return sharp(rotated).flop(mirror).withMetadata({ orientation }).jpeg({ quality: 95 }).toBuffer();
}

/** EXIF data with nothing but the orientation. */
export function exif(orientation: Orientation): Buffer {
  const head = Buffer.from('MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0', 'latin1');
  return Buffer.concat([head, Buffer.from([orientation]), Buffer.alloc(6)]);
}

/** The first 60% of the file, with a complete header. */
export function truncated(image: Buffer): Buffer {
  return image.subarray(0, Math.floor(image.length * 0.6));
}
