import { byId, make, onClick } from '../elements.js';

/** Where the focus was when the section was opened. */
let opener: HTMLElement | undefined;
let sections: Promise<Map<string, string[]>> | undefined;

onClick(byId('runbook-close', HTMLElement), async () => {
  byId('runbook', HTMLElement).hidden = true;
  opener?.focus();
});

/** Opens one section of the runbook below the findings. */
export async function showRunbook(name: string, from: HTMLElement): Promise<void> {
  opener = from;
  sections ??= readSections();
  const lines = (await sections).get(name) ?? ['The runbook has no such section.'];
  byId('runbook-text', HTMLElement).replaceChildren(...renderBlocks(lines));
  byId('runbook', HTMLElement).hidden = false;
  byId('runbook-title', HTMLElement).focus();
}

/** The sections of docs/how-to/runbook.md, by the anchors of their headings. */
async function readSections(): Promise<Map<string, string[]>> {
  const response = await fetch('pages/runbook.md');
  if (!response.ok) throw new Error(`pages/runbook.md: ${response.status}`);
  const found = new Map<string, string[]>();
  let lines: string[] = [];
  for (const line of (await response.text()).split('\n')) {
    const [, title] = /^#{1,3} (.+)$/.exec(line) ?? [];
    if (title === undefined) lines.push(line);
    else {
      lines = [`# ${title}`];
      found.set(title.toLowerCase().replaceAll(' ', '-'), lines);
    }
  }
  return found;
}

/** The few forms of Markdown that the runbook has. All text is set as text. */
function renderBlocks(lines: string[]): Node[] {
  const blocks = lines.join('\n').split(/\n{2,}/);
  return blocks.filter((block) => block.trim() !== '').map(renderBlock);
}

function renderBlock(block: string): Node {
  if (block.startsWith('# ')) return make('h3', {}, block.slice(2));
  if (!block.startsWith('- ')) return make('p', {}, ...renderInline(block));
  const points = block.slice(2).split(/\n- /);
  return make('ul', {}, ...points.map((point) => make('li', {}, ...renderInline(point))));
}

const inline = /\*\*([^*]+)\*\*|`([^`]+)`|\[([^\]]+)\]\(([^)]+)\)/g;

function renderInline(text: string): (Node | string)[] {
  const flat = text.replaceAll(/\s*\n\s*/g, ' ');
  const parts: (Node | string)[] = [];
  let end = 0;
  for (const match of flat.matchAll(inline)) {
    const [whole, bold, code, label = '', target = ''] = match;
    parts.push(flat.slice(end, match.index));
    end = match.index + whole.length;
    if (bold !== undefined) parts.push(make('strong', {}, bold));
    else if (code !== undefined) parts.push(make('code', {}, code));
    else parts.push(...renderLink(label, target));
  }
  return [...parts, flat.slice(end)];
}

/** A link within the runbook opens that section; other pages of the documentation are not served. */
function renderLink(label: string, target: string): (Node | string)[] {
  if (!target.startsWith('#')) return renderInline(label);
  const button = make('button', { type: 'button' }, ...renderInline(label));
  onClick(button, () => showRunbook(target.slice(1), opener ?? button));
  return [button];
}
