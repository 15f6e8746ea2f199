// Photos on a canvas of one color, as players, screenshots and image editors make them.
import sharp from 'sharp';

/** `sides` in pixels. */
export async function withBars(
  photo: Buffer,
  background: string,
  sides: { top?: number; bottom?: number; left?: number; right?: number },
): Promise<Buffer> {
  return sharp(photo)
    .extend({ ...sides, background })
    .jpeg({ quality: 80 })
    .toBuffer();
}

/** Tilted clockwise, on a canvas that grew with it. */
export async function tilted(photo: Buffer, degrees: number, background: string): Promise<Buffer> {
  return sharp(photo).rotate(degrees, { background }).jpeg({ quality: 80 }).toBuffer();
}

/** Tilted clockwise, on a canvas that kept its size: the photo's corners are cut off. */
export async function tiltedInPlace(
  photo: Buffer,
  degrees: number,
  background: string,
): Promise<Buffer> {
  const { width, height } = await sharp(photo).metadata();
  const { data, info } = await sharp(photo)
    .rotate(degrees, { background })
    .toBuffer({ resolveWithObject: true });
  const left = Math.floor((info.width - width) / 2);
  const top = Math.floor((info.height - height) / 2);
  return sharp(data).extract({ left, top, width, height }).jpeg({ quality: 80 }).toBuffer();
}

/** A drawn person in front of a wall of one color, 400x500: nothing but the shirt reaches an edge. */
export async function personBeforeWall(wall: string): Promise<Buffer> {
  const drawing = `<svg xmlns="http://www.w3.org/2000/svg" width="400" height="500">
    <rect width="400" height="500" fill="${wall}"/>
    <ellipse cx="200" cy="200" rx="85" ry="115" fill="#c98"/>
    <path d="M 70 500 Q 80 340 200 330 Q 320 340 330 500 Z" fill="#246"/>
  </svg>`;
  return sharp(Buffer.from(drawing)).jpeg().toBuffer();
}
