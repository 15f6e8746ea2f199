const [WIDTH, HEIGHT] = [640, 800];
/** Center and half axes of the face, in pixels. */
const FACE = { x: 320, y: 380, rx: 128, ry: 172 };

/** What the camera did wrong: nothing at first, then something that the answer names. */
const ways: ((pen: Pen) => void)[] = [
  () => undefined,
  // Tilted on a surround of one color.
  (pen) => {
    pen.fillRect(0, 0, WIDTH, HEIGHT);
    move(pen, { turn: 14, scale: 0.72 });
  },
  // On its side.
  (pen) => {
    [pen.canvas.width, pen.canvas.height] = [HEIGHT, WIDTH];
    move(pen, { turn: 90, scale: 1 });
  },
  // Too close.
  (pen) => move(pen, { turn: 0, scale: 2.2 }),
];

/**
 * A face drawn by code, so that the page can show an answer without a photo of a person. Each number
 * gives another picture, always the same one.
 */
export async function drawSample(number: number): Promise<Blob> {
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [WIDTH, HEIGHT];
  const pen = canvas.getContext('2d')!;
  ways[number % ways.length]!(pen);
  pen.beginPath();
  pen.rect(0, 0, WIDTH, HEIGHT);
  pen.clip();
  drawRoom(pen);
  drawBody(pen);
  drawHead(pen);
  drawFeatures(pen);
  return toJpeg(canvas);
}

/** Turns and scales what is drawn from now on, around the middle. */
function move(pen: Pen, { turn, scale }: { turn: number; scale: number }): void {
  pen.translate(pen.canvas.width / 2, pen.canvas.height / 2);
  pen.rotate((turn * Math.PI) / 180);
  pen.scale(scale, scale);
  pen.translate(-WIDTH / 2, -HEIGHT / 2);
}

export async function toJpeg(canvas: HTMLCanvasElement): Promise<Blob> {
  return new Promise((resolve, reject) =>
    canvas.toBlob(
      (blob) => (blob ? resolve(blob) : reject(new Error('the browser cannot encode a JPEG'))),
      'image/jpeg',
      0.92,
    ),
  );
}

type Pen = CanvasRenderingContext2D;

function drawRoom(pen: Pen): void {
  const wall = pen.createLinearGradient(0, 0, WIDTH, HEIGHT);
  wall.addColorStop(0, '#c9d3dc');
  wall.addColorStop(1, '#8796a5');
  pen.fillStyle = wall;
  pen.fillRect(0, 0, WIDTH, HEIGHT);
}

function drawBody(pen: Pen): void {
  ellipse(pen, { x: FACE.x, y: 800, rx: 250, ry: 200 }, '#31465e');
  pen.fillStyle = '#c08a6b';
  pen.fillRect(FACE.x - 58, 500, 116, 130);
}

function drawHead(pen: Pen): void {
  ellipse(pen, { x: FACE.x, y: FACE.y - 40, rx: FACE.rx + 26, ry: FACE.ry + 12 }, '#2b1d16');
  const skin = pen.createRadialGradient(FACE.x - 40, FACE.y - 50, 30, FACE.x, FACE.y, FACE.ry + 20);
  skin.addColorStop(0, '#f0c6a8');
  skin.addColorStop(0.7, '#dba583');
  skin.addColorStop(1, '#a8714f');
  for (const side of [-1, 1]) {
    ellipse(pen, { x: FACE.x + side * FACE.rx, y: FACE.y + 5, rx: 20, ry: 36 }, '#c48e6c');
  }
  ellipse(pen, FACE, skin);
  // The hairline.
  ellipse(pen, { x: FACE.x, y: FACE.y - FACE.ry + 8, rx: 108, ry: 44 }, '#2b1d16');
}

function drawFeatures(pen: Pen): void {
  for (const side of [-1, 1]) {
    const x = FACE.x + side * 50;
    shade(pen, { x, y: FACE.y - 34, rx: 40, ry: 26 }, 'rgb(90 50 30 / 0.35)');
    ellipse(pen, { x, y: FACE.y - 30, rx: 26, ry: 13 }, '#f6f1ec');
    ellipse(pen, { x, y: FACE.y - 30, rx: 12, ry: 12 }, '#4a2f1c');
    ellipse(pen, { x, y: FACE.y - 30, rx: 6, ry: 6 }, '#120b07');
    ellipse(pen, { x: x + 4, y: FACE.y - 34, rx: 3, ry: 3 }, '#ffffff');
    stroke(pen, [x - 30, FACE.y - 62, x, FACE.y - 76, x + 30, FACE.y - 62], ['#2b1d16', 10]);
    stroke(pen, [x - 27, FACE.y - 32, x, FACE.y - 50, x + 27, FACE.y - 32], ['#3a241a', 5]);
    shade(pen, { x: FACE.x + side * 76, y: FACE.y + 40, rx: 36, ry: 26 }, 'rgb(200 90 70 / 0.25)');
    ellipse(pen, { x: FACE.x + side * 13, y: FACE.y + 42, rx: 7, ry: 5 }, '#6d3f2b');
  }
  shade(pen, { x: FACE.x, y: FACE.y + 36, rx: 34, ry: 20 }, 'rgb(120 65 40 / 0.4)');
  shade(pen, { x: FACE.x - 4, y: FACE.y + 2, rx: 14, ry: 46 }, 'rgb(255 235 215 / 0.5)');
  ellipse(pen, { x: FACE.x, y: FACE.y + 88, rx: 46, ry: 15 }, '#b0574f');
  stroke(
    pen,
    [FACE.x - 46, FACE.y + 86, FACE.x, FACE.y + 94, FACE.x + 46, FACE.y + 86],
    ['#6e2b28', 4],
  );
  shade(pen, { x: FACE.x, y: FACE.y + 118, rx: 40, ry: 12 }, 'rgb(110 60 40 / 0.35)');
}

interface Ellipse {
  x: number;
  y: number;
  rx: number;
  ry: number;
}

function ellipse(pen: Pen, { x, y, rx, ry }: Ellipse, fill: string | CanvasGradient): void {
  pen.fillStyle = fill;
  pen.beginPath();
  pen.ellipse(x, y, rx, ry, 0, 0, 2 * Math.PI);
  pen.fill();
}

/** An ellipse with a soft edge. */
function shade(pen: Pen, area: Ellipse, color: string): void {
  pen.save();
  pen.filter = 'blur(9px)';
  ellipse(pen, area, color);
  pen.restore();
}

/** A curve through three points, given as x, y, x, y, x, y; with a color and a width. */
function stroke(pen: Pen, points: number[], [color, width]: [string, number]): void {
  const [x1 = 0, y1 = 0, x2 = 0, y2 = 0, x3 = 0, y3 = 0] = points;
  pen.strokeStyle = color;
  pen.lineWidth = width;
  pen.lineCap = 'round';
  pen.beginPath();
  pen.moveTo(x1, y1);
  pen.quadraticCurveTo(x2, y2, x3, y3);
  pen.stroke();
}
