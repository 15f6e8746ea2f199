import { kindOf } from './assess-files.js';
import type { Assessed } from './assess-files.js';
import { formatTable } from '../format-table.js';

type Row = Assessed<{ path: string; faces: string }>;

const expectedKinds: Record<string, string> = {
  none: 'no_face',
  one: 'scored',
  many: 'too_many_faces',
};

/** Were none, one or many faces found? Images with another label or an error are left out. */
export function describeDetection(rows: Row[]): string {
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

function countRight(name: string, rows: Row[]): string[] {
  const right = rows.filter(isRight).length;
  return [name, `${rows.length}`, `${right}`, (right / rows.length).toFixed(3)];
}

function isRight(row: Row): boolean {
  return kindOf(row) === expectedKinds[row.faces];
}

function isAssessed(row: Row): boolean {
  return Object.values(expectedKinds).includes(kindOf(row));
}

function describeMiss(row: Row): string {
  const counted = row.faces in expectedKinds && isAssessed(row) ? '' : ' (not counted)';
  return `  ${row.path}: ${row.faces}, answered ${kindOf(row)}${counted}`;
}
