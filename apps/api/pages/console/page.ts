import { byId } from '../elements.js';
import type { Snapshot } from '../../src/operator/console/snapshot.js';
import { drawLines, type LineChart } from './charts.js';
import { followSnapshots } from './follow-snapshots.js';
import { formatMs, formatNumber } from './format.js';
import { showFindings, showTiles } from './show-findings.js';
import { showFailures, showReceivers, showServers, showWorkers } from './show-tables.js';
import { showBatches, showMixKey, showScores, showTenants } from './show-verdicts.js';

// follow-snapshots ▶ findings first ▶ figures ▶ tables. A part whose data did not change stays as it is.

const parts: [reads: (keyof Snapshot)[], show: (snapshot: Snapshot) => void][] = [
  [['findings', 'workers'], showFindings],
  [['rates', 'queue', 'latency', 'webhooks'], showTiles],
  [['series'], showCharts],
  [['workers'], showWorkers],
  [['tenants'], showTenants],
  [['failures'], showFailures],
  [['scores'], showScores],
  [['batches'], showBatches],
  [['webhooks'], showReceivers],
  [['redis', 'gateways'], showServers],
];
const shown = new Map<unknown, string>();

showMixKey();
followSnapshots((snapshot) => {
  for (const [reads, show] of parts) {
    const data = JSON.stringify(reads.map((part) => snapshot[part]));
    if (shown.get(show) === data) continue;
    shown.set(show, data);
    show(snapshot);
  }
});

function showCharts({ series }: Snapshot): void {
  const { checks, refused, failed, waiting, p50Ms, p99Ms } = series;
  const perSecond = { unit: 'per second', format: formatNumber };
  showChart('chart-checks', {
    title: 'Checks',
    ...perSecond,
    lines: [
      { name: 'ended', tone: 1, values: checks },
      { name: 'refused', tone: 2, dash: 'dashed', values: refused },
      { name: 'failed', tone: 3, dash: 'dotted', values: failed },
    ],
  });
  showChart('chart-waiting', {
    title: 'Queue',
    unit: 'checks',
    format: formatNumber,
    lines: [{ name: 'waiting', tone: 1, values: waiting }],
  });
  showChart('chart-latency', {
    title: 'Latency',
    unit: 'from request to verdict',
    format: formatMs,
    lines: [
      { name: 'p50', tone: 1, values: p50Ms },
      { name: 'p99', tone: 3, dash: 'dashed', values: p99Ms },
    ],
  });
}

function showChart(id: string, chart: LineChart): void {
  byId(id, HTMLElement).replaceChildren(...drawLines(chart));
}
