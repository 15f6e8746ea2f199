// What a page may import of the domain: these files need nothing of Node.
export {
  type ContentPlace,
  type FacePlace,
  type FaceView,
  type Outline,
  placeFace,
  type PlacedFace,
  type Point,
  squareAround,
} from './domain/image/place-face.js';
export { qualityHints, qualityLimits } from './domain/quality.js';
