// The parts of a page that need no other file and run no script.

/** The cells are HTML: text in them has been escaped. */
export function table(header: string[], rows: string[][]): string {
  const head = header.map((cell) => `<th scope="col">${escape(cell)}</th>`).join('');
  const body = rows.map(([first, ...cells]) => {
    const others = cells.map((cell) => `<td>${cell}</td>`).join('');
    return `<tr><th scope="row">${first}</th>${others}</tr>`;
  });
  return `<div class="scroll"><table><thead><tr>${head}</tr></thead><tbody>${body.join('\n')}</tbody></table></div>`;
}

export function figure(svg: string, caption: string): string {
  return `<figure>${svg}<figcaption>${caption}</figcaption></figure>`;
}

export function definitions(entries: [string, string][]): string {
  const items = entries.map(([term, text]) => `<dt>${term}</dt><dd>${escape(text)}</dd>`);
  return `<dl>${items.join('')}</dl>`;
}

/** Paths, labels and columns come from the data, which may contain anything. */
export function escape(text: string): string {
  const entities: Record<string, string> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
  };
  return text.replaceAll(/[&<>"]/g, (character) => entities[character]!);
}

const style = `
:root { color-scheme: light dark; --paper: #fff; --ink: #1c2330; --faint: #5b6472; --line: #d5dae2;
  --attack: #c2410c; --bona-fide: #2563b0; --series-1: #2563b0; --series-2: #c2410c; --series-3: #0f766e; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171c; --ink: #e6e9ef; --faint: #9aa4b2;
  --line: #343b47; --attack: #fb8c4e; --bona-fide: #6fb0ff; --series-1: #6fb0ff; --series-2: #fb8c4e;
  --series-3: #5fd4c4; } }
body { background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif;
  max-width: 1200px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; overflow-wrap: anywhere; } h2 { font-size: 1.15rem; margin-top: 2rem; }
h3 { font-size: 1rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; }
dt, small, figcaption { color: var(--faint); } dd { margin: 0; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; margin-bottom: 1rem; } small { display: block; font-size: .72rem; white-space: nowrap; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .55rem; border-bottom: 1px solid var(--line); text-align: right;
  vertical-align: top; }
th { font-weight: 600; } th:first-child { text-align: left; padding-left: 0; }
tbody th { font-weight: 400; } .left td { text-align: left; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(340px, 1fr)); gap: 1rem; }
figure { margin: 0; } svg { width: 100%; } svg text { fill: var(--faint); font-size: 13px; }
.grid { stroke: var(--line); stroke-width: .7; } .axis { stroke: var(--faint); }
.guide, .mark { stroke: var(--faint); stroke-dasharray: 4 3; }
.whisker { stroke: var(--series-1); stroke-width: 1.5; }`;

export function page(title: string, parts: string[]): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escape(title)}</title><style>${style}</style></head>
<body><h1>${escape(title)}</h1>
${parts.join('\n')}
</body></html>
`;
}
