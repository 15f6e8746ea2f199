import type { Resize, View } from '@livegate/worker/models/catalogue';

/** How pixels of 0..255 become input values, in the order RGB: (pixel - subtract) * multiply. */
export const ranges = {
  '0..255': { subtract: [0, 0, 0], multiply: [1, 1, 1] },
  '0..1': { subtract: [0, 0, 0], multiply: [1 / 255, 1 / 255, 1 / 255] },
  '-1..1': { subtract: [127.5, 127.5, 127.5], multiply: [1 / 127.5, 1 / 127.5, 1 / 127.5] },
  /** Mean and standard deviation of ImageNet, as torchvision normalizes. */
  ImageNet: { subtract: [123.675, 116.28, 103.53], multiply: [1 / 58.395, 1 / 57.12, 1 / 57.375] },
} satisfies Record<string, Record<'subtract' | 'multiply', [number, number, number]>>;

export type Range = keyof typeof ranges;

export const channelOrders = ['RGB', 'BGR'] as const;

const fills = ['zero', 'reflect'] as const;
const resizes = ['bilinear', 'area'] as const;

/** The views that are tried of a model whose views are not known. */
export const usualViews: View[] = [1, 1.5, 2, 2.7, 4].flatMap((scale) =>
  fills.map((fill) => ({ scale, fill })),
);

/** One way to prepare the model's input and to read its output. */
export interface Preprocessing {
  channels: (typeof channelOrders)[number];
  range: Range;
  liveClass: number;
  resize: Resize;
  /** The logits of several are averaged. */
  views: View[];
}

export type Way = Omit<Preprocessing, 'views'>;

/** What is known and is not tried. Known views are shown together. */
export interface Known {
  views?: View[];
  resize?: Resize;
}

/** A face may fill a photo; nothing wider than this was ever seen. */
const scales = { least: 0.5, most: 10 };

/** Reads `--views "2 reflect,2.7 zero"` and `--resize area`. Throws an Error that says what is possible. */
export function readKnown(options: {
  views?: string | undefined;
  resize?: string | undefined;
}): Known {
  const { views, resize } = options;
  return {
    ...(views !== undefined && { views: readViews(views) }),
    ...(resize !== undefined && { resize: readResize(resize) }),
  };
}

/** The options of a command line that `readKnown` reads, each with a space before it. */
export function writeKnown({ views, resize }: Known): string {
  const list = views?.map((view) => describeViews([view])).join();
  return `${list ? ` --views "${list}"` : ''}${resize ? ` --resize ${resize}` : ''}`;
}

function readViews(text: string): View[] {
  const views = text.split(',').map((part): View => {
    const [, digits, name] = /^\s*(\d+(?:\.\d+)?)\s+(\w+)\s*$/.exec(part) ?? [];
    const scale = Number(digits);
    const fill = fills.find((each) => each === name);
    if (fill && scale >= scales.least && scale <= scales.most) return { scale, fill };
    throw new Error(
      `--views "${text}": "${part.trim()}" is not a view. Give SCALE FILL, several with commas, as in ` +
        `"2 reflect,2.7 zero": a scale of ${scales.least} to ${scales.most}, a fill of ${fills.join(' or ')}`,
    );
  });
  const names = views.map((view) => describeViews([view]));
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new Error(`--views "${text}" has "${twice}" twice: give it once`);
  return views;
}

function readResize(text: string): Resize {
  const resize = resizes.find((each) => each === text);
  if (resize) return resize;
  throw new Error(`--resize "${text}": give ${resizes.join(' or ')}`);
}

export function describeViews(views: View[]): string {
  return views.map(({ scale, fill }) => `${scale} ${fill}`).join(' + ');
}

export interface LabelledFace {
  source: string;
  isAttack: boolean;
  /** The share of a square of `scale` faces around the face that lies inside the picture, 0..1. */
  insideOf(scale: number): number;
}
