import { kindOf, spoofProbabilities } from './assess-files.js';
import type { Assessed } from './assess-files.js';
import { formatTable } from '../format-table.js';
import { apcerAtBpcer, areaUnderCurve, equalErrorRate } from './measures.js';

type Row = Assessed<{ label: string; framing: string; source: string }>;

const columns = ['', 'attack', 'bona fide', 'no face', 'many', 'error', 'AUC', 'EER', 'APCER@5%'];

/**
 * How well P(spoof) tells attack presentations from bona fide ones, per source, per framing and
 * pooled. Images without exactly one face have no score: they are counted, not rated.
 */
export function describeLiveness(rows: Row[]): string {
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

function describeGroups(rows: Row[], nameOf: (row: Row) => string): string[][] {
  const names = [...new Set(rows.map(nameOf))].toSorted();
  return names.map((name) =>
    describeGroup(
      name,
      rows.filter((row) => nameOf(row) === name),
    ),
  );
}

function describeGroup(name: string, rows: Row[]): string[] {
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

function macroAuc(rows: Row[]): number {
  const aucs = [...new Set(rows.map((row) => row.source))]
    .map((source) => splitScores(rows.filter((row) => row.source === source)))
    .filter(({ attack, bonaFide }) => attack.length > 0 && bonaFide.length > 0)
    .map(({ attack, bonaFide }) => areaUnderCurve(attack, bonaFide));
  return aucs.reduce((a, b) => a + b, 0) / aucs.length;
}

function splitScores(rows: Row[]): { attack: number[]; bonaFide: number[] } {
  return {
    attack: spoofProbabilities(rows.filter((row) => row.label === 'attack')),
    bonaFide: spoofProbabilities(rows.filter((row) => row.label === 'bona-fide')),
  };
}
