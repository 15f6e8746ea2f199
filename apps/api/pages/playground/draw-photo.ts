import { type Outline, placeFace, type Point } from '@livegate/core/browser';
import { drawViews, type Judged } from './draw-views.js';
import { byId } from '../elements.js';

/** Widest and highest canvas, in pixels: enough for the screen, quick to draw. */
const MAX_SIDE = 1400;

/** Of the face and of each view, the smallest first; light enough for a dark photo. */
const FACE_COLOR = '#5eead4';
const VIEW_COLORS = ['#fbbf24', '#a5b4fc', '#f9a8d4'];

/** Shows an image; `mark` draws on it what the models looked at. */
export interface PhotoCanvas {
  /** Resolves to false for an image that the browser cannot show. */
  show(image: Blob): Promise<boolean>;
  mark(judged: Judged | undefined): void;
}

export function createPhotoCanvas(): PhotoCanvas {
  const canvas = byId('photo', HTMLCanvasElement);
  const [boxes, list] = [byId('boxes', HTMLInputElement), byId('views', HTMLElement)];
  const invite = byId('invite', HTMLElement);
  let photo: ImageBitmap | undefined;
  let marked: Judged | undefined;
  boxes.addEventListener('change', draw);

  return {
    async show(image) {
      // Applies the EXIF orientation, as the gateway does.
      photo = await createImageBitmap(image).catch(() => undefined);
      marked = undefined;
      canvas.hidden = !photo;
      byId('unreadable', HTMLElement).hidden = photo !== undefined;
      invite.hidden = true;
      if (photo) {
        const scale = Math.min(1, MAX_SIDE / Math.max(photo.width, photo.height));
        canvas.width = Math.round(photo.width * scale);
        canvas.height = Math.round(photo.height * scale);
      }
      draw();
      return photo !== undefined;
    },
    mark(judged) {
      marked = judged;
      draw();
    },
  };

  function draw(): void {
    const pen = canvas.getContext('2d');
    const judged = boxes.checked ? marked : undefined;
    list.hidden = !judged;
    if (!pen || !photo) return;
    pen.drawImage(photo, 0, 0, canvas.width, canvas.height);
    if (!judged) return;
    drawOutlines(pen, judged);
    list.replaceChildren(...drawViews(photo, judged).map(addColor));
  }
}

/** The colors of the outlines, again beside the drawn views. */
function addColor(item: HTMLElement, i: number): HTMLElement {
  item.style.setProperty('--view-color', colorOf(i));
  return item;
}

const colorOf = (i: number) => VIEW_COLORS[i % VIEW_COLORS.length]!;

function drawOutlines(pen: CanvasRenderingContext2D, { quality, views }: Judged): void {
  const { face, content, measures } = quality;
  const scales = views.map(({ scale }) => scale);
  const place = { face, content, rotation: measures['rotation'] ?? 0 };
  const placed = placeFace(place, { image: pen.canvas, scales });
  // Of the screen, so that labels can be read on a phone.
  const unit = (1.35 * pen.canvas.width) / (pen.canvas.clientWidth || pen.canvas.width);
  // What no model looked at.
  const whole = new Path2D();
  whole.rect(0, 0, pen.canvas.width, pen.canvas.height);
  const widest = placed.views[scales.indexOf(Math.max(...scales))];
  whole.addPath(pathOf(widest ?? placed.picture));
  pen.save();
  pen.clip(whole, 'evenodd');
  pen.fillStyle = 'rgb(8 12 18 / 0.5)';
  pen.fillRect(0, 0, pen.canvas.width, pen.canvas.height);
  pen.restore();
  for (const [n, outline] of placed.views.entries()) {
    const label = `view ${scales[n]}×`;
    drawOutline(pen, outline, { unit, label, color: colorOf(n) });
  }
  drawOutline(pen, placed.face, { unit, label: 'face', color: FACE_COLOR });
}

interface Look {
  unit: number;
  label: string;
  color: string;
}

/** A dark line below the colored one, so that it is visible on any photo. */
function drawOutline(pen: CanvasRenderingContext2D, outline: Outline, look: Look): void {
  const { unit, color } = look;
  const path = pathOf(outline);
  pen.lineJoin = 'round';
  for (const [style, width] of [
    ['rgb(8 12 18 / 0.6)', 3.2 * unit],
    [color, 1.6 * unit],
  ] as const) {
    pen.strokeStyle = style;
    pen.lineWidth = width;
    pen.stroke(path);
  }
  drawLabel(pen, outline, look);
}

function pathOf([first, ...others]: Outline): Path2D {
  const path = new Path2D();
  path.moveTo(first.x, first.y);
  for (const { x, y } of others) path.lineTo(x, y);
  path.closePath();
  return path;
}

/** Dark text on the color, upright, at the uppermost corner as far as that is in the picture. */
function drawLabel(
  pen: CanvasRenderingContext2D,
  outline: Outline,
  { unit, label, color }: Look,
): void {
  pen.font = `600 ${8.5 * unit}px system-ui, sans-serif`;
  const [width, height] = [pen.measureText(label).width + 7 * unit, 12 * unit];
  const { x, y } = uppermost(outline);
  const left = Math.min(Math.max(x, unit), pen.canvas.width - width - unit);
  const top = Math.min(Math.max(y - height / 2, unit), pen.canvas.height - height - unit);
  pen.fillStyle = color;
  pen.fillRect(left, top, width, height);
  pen.fillStyle = '#0b1118';
  pen.textBaseline = 'middle';
  pen.fillText(label, left + 3.5 * unit, top + height / 2 + 0.4 * unit);
}

/** Of two at the same height, the left one. */
function uppermost(outline: Outline): Point {
  return outline.reduce((a, b) => (b.y < a.y - 1 || (b.y < a.y + 1 && b.x < a.x) ? b : a));
}
