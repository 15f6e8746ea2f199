// Measures of ISO/IEC 30107-3 over P(spoof). An image counts as an attack if its score is at or above
// the threshold. The names claim no conformance with the standard.

/** The share of pairs in which the attack scores above the bona fide image; ties count half. */
export function areaUnderCurve(attack: number[], bonaFide: number[]): number {
  const wins = attack.map((a) => bonaFide.reduce((sum, b) => sum + winOver(a, b), 0));
  return wins.reduce((a, b) => a + b, 0) / (attack.length * bonaFide.length);
}

/** Attack presentation classification error rate: the share of attacks below the threshold. */
function apcer(attack: number[], threshold: number): number {
  return attack.filter((score) => score < threshold).length / attack.length;
}

/** Bona fide presentation classification error rate: the share of bona fide images at or above it. */
function bpcer(bonaFide: number[], threshold: number): number {
  return bonaFide.filter((score) => score >= threshold).length / bonaFide.length;
}

/** The mean of both error rates at the threshold where they are closest. */
export function equalErrorRate(attack: number[], bonaFide: number[]): number {
  const rates = thresholds(attack, bonaFide).map((threshold) => ({
    apcer: apcer(attack, threshold),
    bpcer: bpcer(bonaFide, threshold),
  }));
  const gap = (at: (typeof rates)[number]) => Math.abs(at.apcer - at.bpcer);
  const closest = rates.reduce((best, at) => (gap(at) < gap(best) ? at : best));
  return (closest.apcer + closest.bpcer) / 2;
}

/** The lowest APCER that keeps the BPCER at or below `maxBpcer`. */
export function apcerAtBpcer(attack: number[], bonaFide: number[], maxBpcer: number): number {
  const allowed = thresholds(attack, bonaFide).filter((t) => bpcer(bonaFide, t) <= maxBpcer);
  return apcer(attack, Math.min(...allowed));
}

function winOver(a: number, b: number): number {
  if (a === b) return 0.5;
  return a > b ? 1 : 0;
}

/** Every score at which a decision changes, and Infinity, with which nothing is an attack. */
function thresholds(attack: number[], bonaFide: number[]): number[] {
  return [...attack, ...bonaFide, Infinity];
}
