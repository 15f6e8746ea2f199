import { readFileSync } from 'node:fs';
import { listSelections } from '@livegate/testing/product/promql';
import { describe, expect, it } from 'vitest';

interface Panel {
  id: number;
  type: string;
  title: string;
  gridPos: { h: number; w: number; x: number; y: number };
  targets?: { expr: string }[];
}

/** Metrics that an operator needs no panel of, and why. */
const withoutPanel: Record<string, string> = {
  livegate_credential_changes_total:
    'Changes are rare, and the log line of a reload names them; the panel of credentials has their states.',
};

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const { panels } = JSON.parse(read('observability/grafana/dashboards/livegate.json')) as {
  panels: Panel[];
};
const drawn = new Set(
  panels
    .flatMap(({ targets = [] }) => targets)
    .flatMap(({ expr }) => listSelections(expr.replaceAll('$__rate_interval', '5m')))
    // The name of a histogram, as the page has it.
    .map(({ metric }) => metric.replace(/_(bucket|sum|count)$/, '')),
);

/** `test/e2e/telemetry.test.ts` compares this page with what gateway and worker emit. */
const metrics = [...read('docs/reference/metrics.md').matchAll(/^- `([a-z]\w+)`/gm)].map(
  ([, name = '']) => name,
);

/** A gauge such as `livegate_worker_count` has the suffix of a histogram, too. */
const hasPanel = (metric: string) => drawn.has(metric.replace(/_(bucket|sum|count)$/, ''));

describe('the dashboard', () => {
  it('has a panel for every metric, or a reason why not', () => {
    expect(metrics.length).toBeGreaterThan(40);
    const missing = metrics.filter((metric) => !hasPanel(metric) && !withoutPanel[metric]);
    expect(missing).toEqual([]);
  });

  it('has no reason for a metric that has a panel, or that does not exist', () => {
    const needless = Object.keys(withoutPanel).filter(
      (metric) => hasPanel(metric) || !metrics.includes(metric),
    );
    expect(needless).toEqual([]);
  });

  it('gives every panel an id of its own: Grafana shows the last one of two', () => {
    const ids = panels.map(({ id }) => id);
    expect(ids).toEqual([...new Set(ids)]);
  });

  it('lets no panel cover another one', () => {
    const covered = panels.filter((panel) =>
      panels.some((other) => other.id < panel.id && overlaps(panel.gridPos, other.gridPos)),
    );
    expect(covered.map(({ title }) => title)).toEqual([]);
    for (const { gridPos } of panels) expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
  });
});

function overlaps(a: Panel['gridPos'], b: Panel['gridPos']): boolean {
  return a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
}
