import { byId, make } from '../elements.js';
import type { RedisServer, Snapshot, WorkerState } from '../../src/operator/console/snapshot.js';
import { drawMeter } from './charts.js';
import { formatBytes, formatNumber, formatShare, formatTime } from './format.js';

type Cell = string | Node | (string | Node)[];

interface Row {
  /** The first one names the row. */
  cells: Cell[];
  isBad?: boolean;
}

/** Replaces the table in a place of the page; says `empty` without rows. */
export function showTable(
  id: string,
  { heads, rows, empty }: { heads: string[]; rows: Row[]; empty: string },
): void {
  const place = byId(id, HTMLElement);
  if (rows.length === 0) {
    place.replaceChildren(make('p', { className: 'empty' }, empty));
    return;
  }
  const head = make('tr', {}, ...heads.map((text) => make('th', { scope: 'col' }, text)));
  const body = rows.map(({ cells: [name = '', ...cells], isBad = false }) => {
    const row = make(
      'tr',
      {},
      make('th', { scope: 'row' }, ...[name].flat()),
      ...cells.map((cell) => make('td', { className: 'number' }, ...[cell].flat())),
    );
    if (isBad) row.dataset['state'] = 'bad';
    return row;
  });
  place.replaceChildren(make('table', {}, make('thead', {}, head), make('tbody', {}, ...body)));
}

export function showWorkers({ workers }: Snapshot): void {
  showTable('workers', {
    heads: ['Worker', 'State', 'Utilization', 'Checks', 'Provider', 'Models', 'Layout'],
    rows: workers.map((worker) => ({ cells: describeWorker(worker), isBad: worker.isSilent })),
    empty: 'No worker has reported in the last 15 minutes.',
  });
}

function describeWorker(worker: WorkerState): Cell[] {
  const { id, isMeasured, isSilent, silentSeconds, utilization, checksPerSecond, layout } = worker;
  const { engines = 0, intraOpThreads = 0, maxBatch = 0 } = layout;
  const models = worker.models.map((model) => make('div', {}, model));
  return [
    id,
    isSilent
      ? `silent for ${Math.round(silentSeconds)} s`
      : isMeasured
        ? 'alive'
        : 'alive, reports nothing',
    [drawMeter(utilization), formatShare(utilization)],
    `${formatNumber(checksPerSecond)}/s`,
    worker.provider ?? 'not registered',
    [...(worker.profile === undefined ? [] : [make('div', {}, worker.profile)]), ...models],
    `${countOf(engines, 'engine')}, ${countOf(intraOpThreads, 'thread')} each, batch ${maxBatch}`,
  ];
}

function countOf(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

export function showFailures({ failures }: Snapshot): void {
  showTable('failures', {
    heads: ['Code', 'Count', 'Latest request ids'],
    rows: failures.map(({ code, count, requests }) => ({
      cells: [code, String(count), requests.slice(0, 5).map(showId)],
    })),
    empty: 'None.',
  });
}

function showId({ id, at }: { id: string; at: number }): Node {
  return make('div', {}, make('code', {}, id), ` ${formatTime(at)}`);
}

export function showReceivers({ webhooks }: Snapshot): void {
  showTable('receivers', {
    heads: ['Failing receiver', 'Tenant', 'In a row', 'Latest'],
    rows: webhooks.failing.map(({ endpoint, tenant, failures, outcome, at }) => ({
      cells: [endpoint, tenant, String(failures), `${outcome}, ${formatTime(at)}`],
      isBad: failures > 1,
    })),
    empty: 'All receivers that were called have answered.',
  });
}

function describeServer({ isReachable, isPersisting }: RedisServer): string {
  if (!isReachable) return 'does not answer';
  return isPersisting ? 'writes to its disk' : 'cannot write to its disk';
}

export function showServers({ redis, gateways }: Snapshot): void {
  const servers = redis.servers.map((server) => ({
    cells: [
      `Redis for ${server.name}`,
      describeServer(server),
      `${formatBytes(server.usedBytes)} of ${server.limitBytes === 0 ? 'no limit' : formatBytes(server.limitBytes)}`,
      `answers in ${formatNumber(server.answerMs)} ms`,
    ],
    isBad: !server.isPersisting || !server.isReachable,
  }));
  const own = gateways.map(({ id, isSilent, silentSeconds, isReady, uploadShare }) => ({
    cells: [
      `Gateway ${id.slice(-6)}`,
      isSilent ? `silent for ${Math.round(silentSeconds)} s` : isReady ? 'ready' : 'not ready',
      `uploads ${formatShare(uploadShare)}`,
      '',
    ],
    isBad: isSilent || !isReady,
  }));
  showTable('servers', {
    heads: ['Name', 'State', 'Memory', 'Speed'],
    rows: [...servers, ...own],
    empty: 'None has reported.',
  });
}
