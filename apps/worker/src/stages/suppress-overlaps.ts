import type { Box, Face } from './picture.js';

/** Two boxes whose intersection over union exceeds this are one face. */
const MAX_IOU = 0.3;
/** So are two of which the smaller lies in the other by more than this share of its area. */
const MAX_SHARE_OF_SMALLER = 0.7;

/** Non-maximum suppression: the strongest box of every face, strongest first. */
export function suppressOverlaps(candidates: Face[]): Face[] {
  const kept: Face[] = [];
  for (const candidate of candidates.toSorted((a, b) => b.score - a.score)) {
    if (!kept.some((stronger) => isSameFace(stronger.box, candidate.box))) kept.push(candidate);
  }
  return kept;
}

function isSameFace(a: Box, b: Box): boolean {
  const shared = intersectionArea(a, b);
  const union = area(a) + area(b) - shared;
  const smaller = Math.min(area(a), area(b));
  return shared > MAX_IOU * union || shared > MAX_SHARE_OF_SMALLER * smaller;
}

function intersectionArea(a: Box, b: Box): number {
  return area({
    left: Math.max(a.left, b.left),
    top: Math.max(a.top, b.top),
    right: Math.min(a.right, b.right),
    bottom: Math.min(a.bottom, b.bottom),
  });
}

function area(box: Box): number {
  return Math.max(0, box.right - box.left) * Math.max(0, box.bottom - box.top);
}
