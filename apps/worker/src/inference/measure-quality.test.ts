import { qualityLimits } from '@livegate/core/domain';
import * as fc from 'fast-check';
import sharp, { type Sharp } from 'sharp';
import { describe, expect, it } from 'vitest';
import { type Box, fromRows, mirrorPicture, type Picture } from './picture.js';
import { measureQuality } from './measure-quality.js';

/** The face of `drawFace`: 320 pixels high, in the middle of a picture of 640x640. */
const drawn: Box = { left: 200, top: 160, right: 440, bottom: 480 };

/** A face with hard edges, symmetrical about its vertical axis; `skin` is its luma. */
function drawFace(skin = 170): Sharp {
  const gray = (luma: number) => `rgb(${luma},${luma},${luma})`;
  return sharp(
    Buffer.from(`<svg xmlns="http://www.w3.org/2000/svg" width="640" height="640">
      <rect width="640" height="640" fill="${gray(Math.round(skin * 0.6))}"/>
      <ellipse cx="320" cy="320" rx="120" ry="160" fill="${gray(skin)}"/>
      <g fill="${gray(Math.round(skin * 0.2))}">
        <ellipse cx="270" cy="290" rx="22" ry="9"/><ellipse cx="370" cy="290" rx="22" ry="9"/>
        <rect x="245" y="262" width="50" height="8"/><rect x="345" y="262" width="50" height="8"/>
        <ellipse cx="320" cy="405" rx="42" ry="10"/>
        <circle cx="308" cy="352" r="6"/><circle cx="332" cy="352" r="6"/>
      </g>
      <ellipse cx="320" cy="325" rx="10" ry="22" fill="${gray(Math.min(255, skin + 40))}"/>
      <ellipse cx="320" cy="215" rx="60" ry="22" fill="${gray(Math.min(255, skin + 40))}"/>
    </svg>`),
  ).flatten();
}

async function toPicture(image: Sharp): Promise<Picture> {
  // Encoded between: sharp would otherwise blur and resize in an order of its own.
  const { data, info } = await sharp(await image.png().toBuffer())
    .flatten()
    .toColourspace('srgb')
    .raw()
    .toBuffer({ resolveWithObject: true });
  return fromRows({ pixels: new Uint8Array(data), width: info.width, height: info.height });
}

async function measure(image: Sharp, face = drawn) {
  return measureQuality(await toPicture(image), face);
}

function scaled(box: Box, factor: number): Box {
  const { left, top, right, bottom } = box;
  return {
    left: left * factor,
    top: top * factor,
    right: right * factor,
    bottom: bottom * factor,
  };
}

/** Blank, with a face of 100x100 pixels at this place. */
function place(width: number, height: number, left: number, top: number) {
  const pixels = new Uint8Array(3 * width * height).fill(128);
  const picture = fromRows({ width, height, pixels });
  return measureQuality(picture, { left, top, right: left + 100, bottom: top + 100 });
}

describe('where the face is', () => {
  it.each([
    ['a face with 2.7 faces around it', 300, 300, 100, 100, { inside: 1, margin: 1, offset: 0 }],
    // The square of 270 is cut to the picture of 200: 200 * 200 / 270 / 270.
    ['a close face', 200, 200, 50, 50, { inside: 0.5487, margin: 0.5, offset: 0 }],
    ['a face at the right edge', 400, 300, 300, 100, { margin: 0, offset: 0.375 }],
    ['a face at the top edge', 300, 400, 100, 0, { margin: 0, offset: 0.375 }],
    ['a cropped face', 300, 300, -20, 100, { margin: -0.2, offset: 0.4 }],
  ])('is measured in faces and shares: %s', (_name, width, height, left, top, expected) => {
    expect(place(width, height, left, top).measures).toMatchObject(expected);
  });

  it('is given as shares of the picture, so that it holds for any size', () => {
    expect(place(400, 200, 100, 50).face).toEqual({
      left: 0.25,
      top: 0.25,
      width: 0.25,
      height: 0.5,
    });
  });
});

describe('blur', () => {
  const size = drawn.bottom - drawn.top;

  it.each([0.02, 0.03, 0.05])('of %f faces is measured within a fifth', async (sigma) => {
    const { blur } = (await measure(drawFace().blur(sigma * size))).measures;
    expect(blur).toBeGreaterThan(0.8 * sigma);
    expect(blur).toBeLessThan(1.2 * sigma);
  });

  it('is the same for a large and a small picture of one face', async () => {
    const large = await measure(drawFace().blur(0.03 * size));
    const file = await drawFace()
      .blur(0.03 * size)
      .png()
      .toBuffer();
    for (const factor of [0.4, 2]) {
      const resized = sharp(file).resize({ width: 640 * factor });
      const { blur } = (await measure(resized, scaled(drawn, factor))).measures;
      expect(blur).toBeCloseTo(large.measures.blur, 2);
    }
  });

  it.each([0, 0.03])('of %f faces is not hidden by noise or by JPEG blocks', async (sigma) => {
    const image = sigma > 0 ? drawFace().blur(sigma * size) : drawFace();
    const file = await image.png().toBuffer();
    const clean = await toPicture(sharp(file));
    const coarse = await toPicture(sharp(await sharp(file).jpeg({ quality: 40 }).toBuffer()));
    const { blur } = measureQuality(clean, drawn).measures;
    for (const other of [addNoise(clean, 8), addNoise(clean, 16), coarse]) {
      expect(Math.abs(measureQuality(other, drawn).measures.blur - blur)).toBeLessThan(0.002);
    }
  });
});

/** Adds noise with about this standard deviation to every value, the same in each run. */
function addNoise(picture: Picture, deviation: number): Picture {
  let seed = 1;
  const random = () => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647;
  // The sum of three has a standard deviation of one half.
  const noise = () => 2 * deviation * (random() + random() + random() - 1.5);
  const pixels = picture.pixels.map((value) => Math.min(255, Math.max(0, value + noise())));
  return { ...picture, pixels };
}

describe('light', () => {
  it('is measured as luma of the face, not of the background', async () => {
    const { lightest, white } = (await measure(drawFace(150))).measures;
    expect(lightest).toBe(190);
    expect(white).toBe(0);
  });

  it('does not take dark skin for a dark picture, as its highlights are light', async () => {
    expect((await measure(drawFace(75))).codes).not.toContain('image_too_dark');
  });

  it('is too dark or too bright where the whole face is', async () => {
    expect((await measure(drawFace().linear(0.15, 0))).codes).toContain('image_too_dark');
    expect((await measure(drawFace().linear(2, 0))).codes).toContain('image_too_bright');
  });
});

describe('turn', () => {
  const rotated = async (degrees: number) => {
    const picture = await toPicture(drawFace().rotate(degrees, { background: '#666' }));
    const [x, y] = [picture.width / 2, picture.height / 2];
    return measureQuality(picture, {
      left: x - 140,
      top: y - 160,
      right: x + 140,
      bottom: y + 160,
    });
  };

  it.each([0, 5, -10, 10])('is not named for a face at %i degrees', async (degrees) => {
    const { codes, measures } = await rotated(degrees);
    expect(codes).not.toContain('face_turned');
    expect(measures.turn).toBeLessThan(qualityLimits.maxTurn);
  });

  it.each([-45, -35, 35, 45])('is named for a face at %i degrees', async (degrees) => {
    expect((await rotated(degrees)).codes).toContain('face_turned');
  });

  it('is not named for an upright face with one half in the shadow', async () => {
    const shade = Buffer.from(
      `<svg xmlns="http://www.w3.org/2000/svg" width="640" height="640">
        <rect x="330" width="310" height="640" fill="black" opacity="0.4"/></svg>`,
    );
    const lit = drawFace().composite([{ input: shade }]);
    expect((await measure(lit)).codes).not.toContain('face_turned');
  });
});

/** A picture of waves, with edges in all directions: [across, down, phase] of each in radians. */
function drawWaves(width: number, height: number, waves: [number, number, number][]): Picture {
  const pixels = Uint8Array.from({ length: 3 * width * height }, (_, i) => {
    const [x, y] = [Math.floor(i / 3) % width, Math.floor(i / 3 / width)];
    const sum = waves.reduce((s, [across, down, phase]) => {
      return s + Math.sin(across * x + down * y + phase);
    }, 0);
    return 128 + (100 * sum) / waves.length;
  });
  return fromRows({ width, height, pixels });
}

/**
 * Boxes in a picture of 120x110 whose sample points are never on the border of two pixels, as one
 * there would belong to the right pixel in both pictures: steps of 0.75 or 1 from an odd sixteenth.
 */
const boxBetweenBorders = fc
  .record({
    height: fc.constantFrom(48, 64, 96),
    halfWidth: fc.integer({ min: 15, max: 24 }),
    left: fc.integer({ min: -8, max: 79 }),
    top: fc.integer({ min: 0, max: 13 }),
    sixteenths: fc.constantFrom(1, 3, 5, 7, 9, 11, 13, 15),
  })
  .map(({ height, halfWidth, left, top, sixteenths }) => ({
    left: left + sixteenths / 16,
    top: top + sixteenths / 16,
    right: left + 2 * halfWidth + sixteenths / 16,
    bottom: top + height + sixteenths / 16,
  }));

it('gives a picture and its mirror image the same measures', () => {
  const wave = fc.tuple(
    fc.double({ min: -0.5, max: 0.5, noNaN: true }),
    fc.double({ min: -0.5, max: 0.5, noNaN: true }),
    fc.double({ min: 0, max: 6, noNaN: true }),
  );
  const waves = fc.array(wave, { minLength: 3, maxLength: 6 });
  fc.assert(
    fc.property(waves, boxBetweenBorders, (drawing, face) => {
      const picture = drawWaves(120, 110, drawing);
      const image = { ...face, left: 120 - face.right, right: 120 - face.left };
      const { measures } = measureQuality(picture, face);
      const mirrored = measureQuality(mirrorPicture(picture), image);
      for (const [name, value] of Object.entries(mirrored.measures)) {
        // Sums of another order may be rounded to the neighboring last digit.
        const difference = Math.abs(value - measures[name as keyof typeof measures]);
        expect(difference).toBeLessThan(0.00015);
      }
    }),
    { numRuns: 100 },
  );
});

it('has finite measures for any box, also outside of the picture', () => {
  const sides = fc.integer({ min: 1, max: 40 });
  const box = fc
    .tuple(...Array.from({ length: 4 }, () => fc.double({ min: -80, max: 80, noNaN: true })))
    .map(([left = 0, top = 0, width = 0, height = 0]) => ({
      left,
      top,
      right: left + Math.abs(width) + 0.1,
      bottom: top + Math.abs(height) + 0.1,
    }));
  fc.assert(
    fc.property(sides, sides, box, fc.nat(255), (width, height, face, luma) => {
      const pixels = new Uint8Array(3 * width * height).fill(luma);
      const { measures, face: at } = measureQuality(fromRows({ width, height, pixels }), face);
      for (const value of [...Object.values(measures), ...Object.values(at)]) {
        expect(Number.isFinite(value)).toBe(true);
      }
    }),
    { numRuns: 60 },
  );
});
