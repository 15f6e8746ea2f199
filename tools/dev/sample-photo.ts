import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import sharp from 'sharp';
import type { Sharp } from 'sharp';

/** A rectangle of one of the sample photos, in pixels. */
export interface PhotoCut {
  /** 1 to 6. */
  photo: number;
  left: number;
  top: number;
  width: number;
  height: number;
}

/** One face with background around it, framed like a selfie. */
export const SELFIE: PhotoCut = { photo: 1, left: 219, top: 155, width: 576, height: 704 };

/** Writes a bona fide photo of one face as JPEG, for the first check without a camera. */
export async function writeSamplePhoto(path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await cutPhoto(SELFIE).toFile(path);
}

/** Group photos of a development dependency (MIT), so that this repository contains no photo. */
export function samplePhotoPath(photo: number): string {
  return `node_modules/@vladmandic/face-api/demo/sample${photo}.jpg`;
}

export function cutPhoto({ photo, ...rectangle }: PhotoCut): Sharp {
  return sharp(samplePhotoPath(photo)).extract(rectangle).jpeg({ quality: 92 });
}
