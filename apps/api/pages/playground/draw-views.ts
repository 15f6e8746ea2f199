import { type FaceView, type Outline, placeFace, squareAround } from '@livegate/core/browser';
import type { Quality } from './ask.js';
import { make } from '../elements.js';

/** The picture of a face that was scored, and the views that the classifiers had of it. */
export interface Judged {
  quality: Quality;
  views: FaceView[];
}

/** Pixels of a drawn view: sharp at twice its size on the screen. */
const SIDE = 400;
/** Widest and highest drawing of the judged picture. */
const MAX_SIDE = 1400;

/** Draws each view as its classifier sees it, with what lies beyond the edges of the picture. */
export function drawViews(photo: ImageBitmap, { quality, views }: Judged): HTMLElement[] {
  const picture = drawPicture(photo, quality);
  const { left, top, width, height } = quality.face;
  const face = {
    left: left * picture.width,
    top: top * picture.height,
    right: (left + width) * picture.width,
    bottom: (top + height) * picture.height,
  };
  return views.map(({ scale, fill }) => {
    const canvas = make('canvas', { width: SIDE, height: SIDE });
    const square = squareAround(face, scale);
    const pen = canvas.getContext('2d')!;
    pen.fillRect(0, 0, SIDE, SIDE);
    pen.scale(SIDE / square.side, SIDE / square.side);
    pen.translate(-square.left, -square.top);
    drawTiles(pen, picture, fill);
    canvas.setAttribute('role', 'img');
    canvas.setAttribute('aria-label', `The face as view ${scale}× shows it to the classifier`);
    return make('li', {}, canvas, make('span', {}, `view ${scale}×, ${fill}`));
  });
}

/** Upright, and without a surround. */
function drawPicture(photo: ImageBitmap, { face, content, measures }: Quality): HTMLCanvasElement {
  const place = { face, content, rotation: measures['rotation'] ?? 0 };
  const [origin, right, , down] = placeFace(place, { image: photo, scales: [] }).picture;
  const [width, height] = [lengthOf(origin, right), lengthOf(origin, down)];
  const scale = Math.min(1, MAX_SIDE / Math.max(width, height));
  const canvas = make('canvas', {
    width: Math.round(width * scale),
    height: Math.round(height * scale),
  });
  const pen = canvas.getContext('2d')!;
  const toImage = new DOMMatrix([
    (right.x - origin.x) / canvas.width,
    (right.y - origin.y) / canvas.width,
    (down.x - origin.x) / canvas.height,
    (down.y - origin.y) / canvas.height,
    origin.x,
    origin.y,
  ]);
  pen.setTransform(toImage.inverse());
  pen.drawImage(photo, 0, 0);
  return canvas;
}

function lengthOf(a: Outline[0], b: Outline[0]): number {
  return Math.hypot(b.x - a.x, b.y - a.y);
}

/** The picture, with its mirror images beside it for `reflect`. */
function drawTiles(
  pen: CanvasRenderingContext2D,
  picture: HTMLCanvasElement,
  fill: FaceView['fill'],
): void {
  const sides = fill === 'reflect' ? [-1, 0, 1] : [0];
  for (const across of sides) {
    for (const down of sides) {
      pen.save();
      pen.translate(
        across === 0 ? 0 : (across + 1) * picture.width,
        down === 0 ? 0 : (down + 1) * picture.height,
      );
      pen.scale(across === 0 ? 1 : -1, down === 0 ? 1 : -1);
      pen.drawImage(picture, 0, 0);
      pen.restore();
    }
  }
}
