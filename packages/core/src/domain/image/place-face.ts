export interface Point {
  x: number;
  y: number;
}

export interface Size {
  width: number;
  height: number;
}

/** A rectangle in pixels of the picture; it may reach beyond the picture's edges. */
export interface Box {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

/** The face box as shares of the picture's width and height; it may reach beyond 0..1. */
export interface FacePlace {
  left: number;
  top: number;
  width: number;
  height: number;
}

/** A square of `scale` times the longer side of the face box; `fill` is shown beyond the picture. */
export interface FaceView {
  scale: number;
  fill: 'zero' | 'reflect';
}

/** Where the photo lies in an image that shows it on a surround of one color. */
export interface ContentPlace {
  /** Its center, and its sides, as shares of the image's width and height. */
  x: number;
  y: number;
  width: number;
  height: number;
  /** Degrees clockwise by which it is turned, from -45 to 45. */
  tilt: number;
}

/** The longer side of a box, in pixels: the size of a face. */
export function longerSide({ left, top, right, bottom }: Box): number {
  return Math.max(right - left, bottom - top);
}

/** The square with `scale` times the longer side of the box, around the center of the box. */
export function squareAround(box: Box, scale: number): { left: number; top: number; side: number } {
  const side = scale * longerSide(box);
  return {
    left: (box.left + box.right - side) / 2,
    top: (box.top + box.bottom - side) / 2,
    side,
  };
}

/** Turns points clockwise around the origin, by degrees. */
export function turnBy(degrees: number): (point: Point) => Point {
  const radians = (degrees * Math.PI) / 180;
  const [sin, cos] = [Math.sin(radians), Math.cos(radians)];
  return ({ x, y }) => ({ x: cos * x - sin * y, y: sin * x + cos * y });
}

/** The face that was judged, and how its picture was cut out of the image and turned. */
export interface JudgedFace {
  face: FacePlace;
  content?: ContentPlace | undefined;
  rotation: number;
}

/** Corners, clockwise from the upper left of the upright picture. */
export type Outline = [Point, Point, Point, Point];

/** Everything in pixels of the image as it was sent. */
export interface PlacedFace {
  /** The picture that was judged. */
  picture: Outline;
  face: Outline;
  /** One for each scale. */
  views: Outline[];
}

/** Where the models looked: in an image of this size, and with views of these scales. */
export function placeFace(
  { face, content, rotation }: JudgedFace,
  { image, scales }: { image: Size; scales: number[] },
): PlacedFace {
  const whole: ContentPlace = { x: 0.5, y: 0.5, width: 1, height: 1, tilt: 0 };
  const { x, y, width, height, tilt } = content ?? whole;
  const [across, down] = [width * image.width, height * image.height];
  // The photo was put straight, then turned upright.
  const isOnItsSide = rotation % 180 !== 0;
  const judged = {
    width: isOnItsSide ? down : across,
    height: isOnItsSide ? across : down,
  };
  const box = {
    left: face.left * judged.width,
    top: face.top * judged.height,
    right: (face.left + face.width) * judged.width,
    bottom: (face.top + face.height) * judged.height,
  };
  const turn = turnBy(tilt - rotation);
  const toImage = (point: Point): Point => {
    const fromCenter = { x: point.x - judged.width / 2, y: point.y - judged.height / 2 };
    const turned = turn(fromCenter);
    return { x: x * image.width + turned.x, y: y * image.height + turned.y };
  };
  const outline = ({ left, top, right, bottom }: Box): Outline => [
    toImage({ x: left, y: top }),
    toImage({ x: right, y: top }),
    toImage({ x: right, y: bottom }),
    toImage({ x: left, y: bottom }),
  ];
  const views = scales.map((scale) => {
    const { left, top, side } = squareAround(box, scale);
    return outline({ left, top, right: left + side, bottom: top + side });
  });
  const picture = { left: 0, top: 0, right: judged.width, bottom: judged.height };
  return { picture: outline(picture), face: outline(box), views };
}
