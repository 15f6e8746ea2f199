import { make } from '../elements.js';

const SVG = 'http://www.w3.org/2000/svg';

type Attributes = Record<string, string | number>;

function draw(name: string, attributes: Attributes, ...children: Element[]): SVGElement {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  element.append(...children);
  return element;
}

export interface Line {
  name: string;
  /** 1 to 5: a color of the style sheet. */
  tone: number;
  /** So that lines differ without their color. */
  dash?: 'dashed' | 'dotted';
  values: (number | null)[];
}

export interface LineChart {
  title: string;
  unit: string;
  lines: Line[];
  format(value: number): string;
}

const [WIDTH, HEIGHT] = [300, 110];

/** A chart over the last 15 minutes, with its text alternative. */
export function drawLines({ title, unit, lines, format }: LineChart): Node[] {
  const known = lines.flatMap(({ values }) => values.filter((value) => value !== null));
  const most = roundUp(Math.max(0, ...known));
  const keys = lines.map(({ name, tone, dash = '' }) =>
    make('span', { className: `key tone-${tone} ${dash}` }, name),
  );
  const caption = make('figcaption', {}, make('strong', {}, `${title}, ${unit}`), ...keys);
  const grid = [0, 0.5, 1].map((share) => {
    const y = 2 + share * (HEIGHT - 4);
    return draw('line', { class: 'grid', x1: 0, x2: WIDTH, y1: y, y2: y });
  });
  const paths = lines.map(({ values, tone, dash = '' }) =>
    draw('path', { class: `line tone-${tone} ${dash}`, d: toPath(values, most) }),
  );
  const label = `${title}. ${lines.map((line) => describe(line, format)).join(' ')}`;
  const attributes = {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    preserveAspectRatio: 'none',
    height: HEIGHT,
    role: 'img',
    'aria-label': label,
  };
  const svg = draw('svg', attributes, ...grid, ...paths);
  const top = make('div', { className: 'axis' }, make('span', {}, format(most)));
  const axis = make('div', { className: 'axis' });
  axis.append(make('span', {}, '15 minutes ago'), make('span', {}, 'now'));
  return [caption, top, svg, axis];
}

/** Gaps stay gaps. */
function toPath(values: (number | null)[], most: number): string {
  let isOpen = false;
  return values
    .map((value, index) => {
      if (value === null) {
        isOpen = false;
        return '';
      }
      const x = (index / Math.max(1, values.length - 1)) * WIDTH;
      const y = HEIGHT - 2 - (value / most) * (HEIGHT - 4);
      const point = `${x.toFixed(1)} ${y.toFixed(1)}`;
      // A line to the same place makes a dot of a value without neighbors.
      const command = isOpen ? `L${point}` : `M${point}L${point}`;
      isOpen = true;
      return command;
    })
    .join('');
}

function describe({ name, values }: Line, format: LineChart['format']): string {
  const known = values.filter((value) => value !== null);
  const latest = known.at(-1);
  if (latest === undefined) return `${name}: no value.`;
  const [least, most] = [Math.min(...known), Math.max(...known)];
  return `${name}: ${format(latest)} now, between ${format(least)} and ${format(most)}.`;
}

/** The next 1, 2 or 5 times a power of ten. */
function roundUp(value: number): number {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const step = [1, 2, 5, 10].find((digit) => digit * power >= value) ?? 10;
  return step * power;
}

export interface Bar {
  /** Shares of the whole height, from below, each with a tone. */
  parts: { tone: number; share: number }[];
}

export interface BarChart {
  /** The text alternative. */
  label: string;
  height: number;
  /** Places for bars, so that a few bars do not become blocks. */
  places?: number;
}

/** Bars side by side, from the left. */
export function drawBars(bars: Bar[], { label, height, places = 0 }: BarChart): Node {
  const slot = WIDTH / Math.max(1, places, bars.length);
  const rects = bars.flatMap(({ parts }, index) => {
    let y = height;
    return parts.map(({ tone, share }) => {
      const size = share * height;
      y -= size;
      return draw('rect', {
        class: `tone-${tone}`,
        x: (index * slot + slot * 0.1).toFixed(2),
        y: y.toFixed(2),
        width: (slot * 0.8).toFixed(2),
        height: size.toFixed(2),
      });
    });
  });
  const attributes = {
    viewBox: `0 0 ${WIDTH} ${height}`,
    preserveAspectRatio: 'none',
    height,
    role: 'img',
    'aria-label': label,
  };
  return draw('svg', attributes, ...rects);
}

/** A small horizontal bar; the number beside it is its text alternative. */
export function drawMeter(share: number): HTMLElement {
  const size = { viewBox: '0 0 100 10', preserveAspectRatio: 'none', height: 10 };
  const back = draw('line', { class: 'grid', x1: 0, x2: 100, y1: 9, y2: 9 });
  const bar = draw('rect', { x: 0, y: 0, width: Math.max(1, share * 100), height: 8 });
  const svg = draw('svg', { ...size, 'aria-hidden': 'true' }, back, bar);
  return make('span', { className: 'meter' }, svg);
}
