import type { Quality } from './ask.js';
import { byId } from './elements.js';

/** Widest and highest canvas, in pixels: enough for the screen, quick to draw. */
const MAX_SIDE = 1400;

export interface Overlay {
  face: Quality['face'];
  /** Side of each classifier crop, as a multiple of the longer side of the face box. */
  scales: number[];
}

/** Shows an image; `overlay` marks the face and the crops that the classifier reads. */
export interface PhotoCanvas {
  show(image: Blob): Promise<void>;
  mark(overlay: Overlay | undefined): void;
}

export function createPhotoCanvas(): PhotoCanvas {
  const canvas = byId('photo', HTMLCanvasElement);
  const boxes = byId('boxes', HTMLInputElement);
  let photo: ImageBitmap | undefined;
  let marked: Overlay | undefined;
  boxes.addEventListener('change', draw);

  return {
    async show(image) {
      // Applies the EXIF orientation, as the gateway does.
      photo = await createImageBitmap(image);
      marked = undefined;
      const scale = Math.min(1, MAX_SIDE / Math.max(photo.width, photo.height));
      canvas.width = Math.round(photo.width * scale);
      canvas.height = Math.round(photo.height * scale);
      byId('invite', HTMLElement).hidden = true;
      canvas.hidden = false;
      draw();
    },
    mark(overlay) {
      marked = overlay;
      draw();
    },
  };

  function draw(): void {
    const pen = canvas.getContext('2d');
    if (!pen || !photo) return;
    pen.drawImage(photo, 0, 0, canvas.width, canvas.height);
    if (marked && boxes.checked) drawOverlay(pen, marked);
  }
}

function drawOverlay(pen: CanvasRenderingContext2D, { face, scales }: Overlay): void {
  const { width, height } = pen.canvas;
  const box = {
    x: face.left * width,
    y: face.top * height,
    width: face.width * width,
    height: face.height * height,
  };
  const unit = Math.max(width, height) / 400;
  for (const scale of scales) {
    const side = scale * Math.max(box.width, box.height);
    const view = {
      x: box.x + (box.width - side) / 2,
      y: box.y + (box.height - side) / 2,
      width: side,
      height: side,
    };
    outline(pen, view, { unit, label: `${scale}x`, dashed: true });
  }
  outline(pen, box, { unit, label: 'face', dashed: false });
}

interface Outline {
  unit: number;
  label: string;
  dashed: boolean;
}

/** A light line on a dark one, so that it is visible on any photo. */
function outline(
  pen: CanvasRenderingContext2D,
  { x, y, width, height }: { x: number; y: number; width: number; height: number },
  { unit, label, dashed }: Outline,
): void {
  pen.setLineDash(dashed ? [5 * unit, 4 * unit] : []);
  for (const [color, lineWidth] of [
    ['#0008', 3 * unit],
    ['#ffffff', 1.4 * unit],
  ] as const) {
    pen.strokeStyle = color;
    pen.lineWidth = lineWidth;
    pen.strokeRect(x, y, width, height);
  }
  pen.font = `${9 * unit}px system-ui, sans-serif`;
  const place = { x: Math.max(x, 0) + 3 * unit, y: Math.max(y, 0) + 10 * unit };
  pen.setLineDash([]);
  pen.lineWidth = 3 * unit;
  pen.strokeStyle = '#000a';
  pen.strokeText(label, place.x, place.y);
  pen.fillStyle = '#ffffff';
  pen.fillText(label, place.x, place.y);
}
