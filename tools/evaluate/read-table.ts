import { readFile } from 'node:fs/promises';

/** A CSV file without quoting, the column names first. Throws an Error if a column is missing. */
export async function readTable<Column extends string>(
  path: string,
  columns: readonly Column[],
): Promise<Record<Column, string>[]> {
  const [header = '', ...lines] = (await readFile(path, 'utf8')).trim().split(/\r?\n/);
  const names = header.split(',');
  const missing = columns.filter((column) => !names.includes(column));
  if (missing.length > 0) throw new Error(`${path} has no column ${missing.join(', ')}`);
  return lines.map((line) => {
    const values = line.split(',');
    const cells = columns.map((column) => [column, values[names.indexOf(column)] ?? '']);
    return Object.fromEntries(cells) as Record<Column, string>;
  });
}
