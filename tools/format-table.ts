/** Aligns columns of text: the first to the left, the others to the right. */
export function formatTable(header: string[], lines: string[][]): string {
  const table = [header, ...lines];
  const widths = header.map((_, column) => Math.max(...table.map((line) => line[column]!.length)));
  return table
    .map((line) =>
      line.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))),
    )
    .map((cells) => `  ${cells.join('  ')}`)
    .join('\n');
}
