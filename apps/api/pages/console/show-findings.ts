import { byId, make, onClick } from '../elements.js';
import type { Finding, Snapshot } from '../../src/operator/console/snapshot.js';
import { formatMs, formatNumber } from './format.js';
import { showRunbook } from './show-runbook.js';

/** Elements stay while their finding lasts, so that a click or the focus is not lost. */
const items = new Map<string, HTMLElement>();

export function showFindings(snapshot: Snapshot): void {
  const { findings } = snapshot;
  const state = findings.some(({ severity }) => severity === 'critical') ? 'critical' : 'warning';
  byId('attention', HTMLElement).dataset['state'] = findings.length === 0 ? 'calm' : state;
  // A live region: spoken when the number of findings changes, not when a figure does.
  setText(byId('calm', HTMLElement), summarize(snapshot));
  const list = byId('findings', HTMLElement);
  for (const [id, item] of items) {
    if (findings.some((finding) => finding.id === id)) continue;
    item.remove();
    items.delete(id);
  }
  for (const [index, finding] of findings.entries()) {
    const item = items.get(finding.id) ?? createItem(finding);
    items.set(finding.id, item);
    item.dataset['severity'] = finding.severity;
    setText(item.querySelector('.kind')!, finding.severity === 'critical' ? 'Critical' : 'Warning');
    setText(item.querySelector('.words')!, finding.text);
    if (list.children[index] !== item) list.insertBefore(item, list.children[index] ?? null);
  }
}

function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

function createItem({ runbook }: Finding): HTMLElement {
  const button = make('button', { type: 'button' }, 'Show what to do');
  onClick(button, () => showRunbook(runbook, button));
  const kind = make('span', { className: 'kind' });
  return make('li', {}, kind, make('span', { className: 'words' }), button);
}

function summarize({ findings, workers }: Snapshot): string {
  const alive = workers.filter(({ isSilent }) => !isSilent).length;
  if (findings.length === 1) return 'One thing needs attention. The most urgent comes first.';
  if (findings.length > 1) {
    return `${findings.length} things need attention. The most urgent comes first.`;
  }
  const count = alive === 1 ? 'One worker is' : `${alive} workers are`;
  return `Nothing. ${count} taking checks.`;
}

/** The figures of this moment. */
export function showTiles({ rates, queue, latency, webhooks }: Snapshot): void {
  const { secondsOfWork } = queue;
  const oldest = Math.max(queue.oldestAgeSeconds, queue.oldestAsyncAgeSeconds);
  const window = latency.seconds === 60 ? 'last minute' : 'last 15 minutes';
  const tiles: [name: string, number: string, more: string][] = [
    ['Checks', `${formatNumber(rates.checks)}/s`, `${queue.running} running`],
    ['Waiting', String(queue.waiting), `the oldest for ${formatNumber(oldest)} s`],
    [
      'Work queued',
      secondsOfWork === undefined ? 'not known' : `${formatNumber(secondsOfWork)} s`,
      'for all workers together',
    ],
    ['Latency p50', formatMs(latency.p50Ms), window],
    ['Latency p99', formatMs(latency.p99Ms), window],
    ['Refused', `${formatNumber(rates.refused)}/s`, 'full, or over a rate'],
    ['Failed', `${formatNumber(rates.failed)}/s`, 'faults of the service'],
    ['Webhooks', String(webhooks.waiting), 'messages on their way'],
  ];
  byId('tiles', HTMLElement).replaceChildren(
    ...tiles.map(([name, number, more]) =>
      make(
        'div',
        {},
        make('dt', {}, name),
        make('dd', { className: 'number' }, number),
        make('dd', { className: 'more' }, more),
      ),
    ),
  );
}
