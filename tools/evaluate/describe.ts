import { LivegateError } from '@livegate/core/domain';
import { formatTable } from '../format-table.js';
import { type Assessed, kindOf, spoofProbabilities } from './assess-files.js';
import { apcerAtBpcer, areaUnderCurve, equalErrorRate } from './measures.js';

type DetectionRow = Assessed<{ path: string; faces: string }>;

const expectedKinds: Record<string, string> = {
  none: 'no_face',
  one: 'scored',
  many: 'too_many_faces',
};

/** How often the number of faces (none, one, many) is right. Ignores other labels and errors. */
export function describeDetection(rows: DetectionRow[]): string {
  const judged = rows.filter((row) => row.faces in expectedKinds && isAssessed(row));
  const lines = Object.keys(expectedKinds).map((faces) =>
    countRight(
      faces,
      judged.filter((row) => row.faces === faces),
    ),
  );
  const table = formatTable(
    ['faces', 'images', 'right', 'share'],
    [...lines, countRight('all', judged)],
  );
  const notes = rows.filter((row) => !isRight(row)).map(describeMiss);
  return ['\nFace count', table, ...notes].join('\n');
}

function countRight(name: string, rows: DetectionRow[]): string[] {
  const right = rows.filter(isRight).length;
  return [name, `${rows.length}`, `${right}`, (right / rows.length).toFixed(3)];
}

function isRight(row: DetectionRow): boolean {
  return kindOf(row) === expectedKinds[row.faces];
}

function isAssessed(row: DetectionRow): boolean {
  return Object.values(expectedKinds).includes(kindOf(row));
}

function describeMiss(row: DetectionRow): string {
  const counted = row.faces in expectedKinds && isAssessed(row) ? '' : ' (not counted)';
  return `  ${row.path}: labelled ${row.faces}, found ${kindOf(row)}${counted}`;
}

type LivenessRow = Assessed<{ label: string; framing: string; source: string }>;

const columns = ['', 'attack', 'bona fide', 'no face', 'many', 'error', 'AUC', 'EER', 'APCER@5%'];

/**
 * How well P(spoof) separates attack presentations from bona fide ones, per source, per framing and
 * for all. Images without exactly one face have no score and are only counted.
 */
export function describeLiveness(rows: LivenessRow[]): string {
  const lines = [
    ...describeGroups(rows, (row) => row.source),
    ...describeGroups(rows, (row) => `all: ${row.framing}`),
    describeGroup('all', rows),
  ];
  return [
    '\nLiveness (rated: images with exactly one face; APCER@5% = APCER at BPCER <= 5 %)',
    formatTable(columns, lines),
    `macro AUC over sources with both kinds: ${macroAuc(rows).toFixed(3)}`,
  ].join('\n');
}

function describeGroups(rows: LivenessRow[], nameOf: (row: LivenessRow) => string): string[][] {
  const names = [...new Set(rows.map(nameOf))].toSorted();
  return names.map((name) =>
    describeGroup(
      name,
      rows.filter((row) => nameOf(row) === name),
    ),
  );
}

function describeGroup(name: string, rows: LivenessRow[]): string[] {
  const count = (kind: string) => rows.filter((row) => kindOf(row) === kind).length;
  const { attack, bonaFide } = splitScores(rows);
  const faceCounts = [count('no_face'), count('too_many_faces')];
  const errors = rows.length - count('scored') - faceCounts[0]! - faceCounts[1]!;
  const counts = [attack.length, bonaFide.length, ...faceCounts, errors].map(String);
  if (attack.length === 0 || bonaFide.length === 0) return [name, ...counts, '-', '-', '-'];
  const rates = [
    areaUnderCurve(attack, bonaFide),
    equalErrorRate(attack, bonaFide),
    apcerAtBpcer(attack, bonaFide, 0.05),
  ];
  return [name, ...counts, ...rates.map((rate) => rate.toFixed(3))];
}

function macroAuc(rows: LivenessRow[]): number {
  const aucs = [...new Set(rows.map((row) => row.source))]
    .map((source) => splitScores(rows.filter((row) => row.source === source)))
    .filter(({ attack, bonaFide }) => attack.length > 0 && bonaFide.length > 0)
    .map(({ attack, bonaFide }) => areaUnderCurve(attack, bonaFide));
  return aucs.reduce((a, b) => a + b, 0) / aucs.length;
}

function splitScores(rows: LivenessRow[]): { attack: number[]; bonaFide: number[] } {
  return {
    attack: spoofProbabilities(rows.filter((row) => row.label === 'attack')),
    bonaFide: spoofProbabilities(rows.filter((row) => row.label === 'bona-fide')),
  };
}

/** Milliseconds per image inside this process, one image at a time. */
export function describeSpeed(rows: Assessed<object>[]): string {
  const timings = rows.flatMap(({ outcome }) =>
    outcome instanceof LivegateError ? [] : [outcome.timings],
  );
  const stages = {
    decode: timings.map((t) => t.decodeMs),
    detect: timings.map((t) => t.detectMs),
    classify: timings.map((t) => t.classifyMs),
    all: timings.map((t) => t.decodeMs + t.detectMs + t.classifyMs),
  };
  const lines = Object.entries(stages).map(([stage, ms]) => {
    const sorted = ms.toSorted((a, b) => a - b);
    const at = (share: number) => sorted[Math.floor(share * (sorted.length - 1))]!.toFixed(1);
    return [stage, at(0.5), at(0.95)];
  });
  return ['\nSpeed, ms per image', formatTable(['stage', 'p50', 'p95'], lines)].join('\n');
}
