import { deflateSync } from 'node:zlib';
import sharp from 'sharp';
import { pngHeader, pngOf, withPngChunk } from './png-chunks.js';

export async function sixteenBitPng(photo: Buffer): Promise<Buffer> {
  return sharp(photo).toColourspace('rgb16').png().toBuffer();
}

/** The photo at 50% opacity. */
export async function alphaPng(photo: Buffer): Promise<Buffer> {
  return sharp(photo).ensureAlpha(0.5).png().toBuffer();
}

/** A PNG of a few dozen bytes that claims 40000x40000 pixels: 4.8 GB once decoded. */
export function pngBomb(): Buffer {
  const claimed = pngHeader({ width: 40_000, height: 40_000, colorType: 2 });
  return pngOf(claimed, Buffer.alloc(100));
}

/** A valid 2 KB grayscale PNG of 1 by 1,000,000 pixels: decoders spend time on every row. */
export function tallPng(): Buffer {
  const height = 1_000_000;
  // Each row is a filter byte and one black pixel.
  return pngOf(pngHeader({ width: 1, height, colorType: 0 }), Buffer.alloc(2 * height));
}

/** A PNG with a comment right after the header that inflates to 1,000 times its size. */
export function withTextBomb(png: Buffer, inflatedBytes = 10_000_000): Buffer {
  const text = deflateSync(Buffer.alloc(inflatedBytes));
  return withPngChunk(png, 'zTXt', Buffer.concat([Buffer.from('Comment\0\0'), text]));
}
