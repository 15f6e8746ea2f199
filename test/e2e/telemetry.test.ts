import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { parse } from 'yaml';
import { findFreePort } from '../../tools/dev/ports.js';
import { selfie } from '@livegate/testing/images/photos';
import { type ReceivedSpan, startOtlpReceiver } from '@livegate/testing/product/otlp-receiver';
import { ask, postImage } from '@livegate/testing/product/post-image';
import {
  type AppProcess,
  createEnv,
  startApi,
  startWorker,
  untilReady,
} from '@livegate/testing/product/processes';
import { listSelections, readScrape } from '@livegate/testing/product/promql';

const pollOptions = { timeout: 30_000, interval: 50 };
const callers = [
  { traceId: '11111111111111111111111111111111', spanId: 'aaaaaaaaaaaaaaaa' },
  { traceId: '22222222222222222222222222222222', spanId: 'bbbbbbbbbbbbbbbb' },
];
const [server, client, producer, consumer] = [2, 3, 4, 5];

/** The telemetry of a gateway and a worker that ran two checks in one batch and sent two webhooks. */
interface Recorded {
  spans: ReceivedSpan[];
  raw: string;
  metricNames: Set<string>;
  scrapes: string[];
  image: Buffer;
  webhookSecret: string;
  requestIds: string[];
  apiLog: AppProcess['log'];
  workerLog: AppProcess['log'];
}

let recorded: Recorded;
const closers: (() => unknown)[] = [];

beforeAll(async () => {
  recorded = await record();
}, 90_000);
afterAll(async () => {
  for (const close of closers.toReversed()) await close();
});

async function record(): Promise<Recorded> {
  const otlp = await startOtlpReceiver();
  closers.push(otlp.close);
  const hook = await startHook();
  closers.push(hook.close);
  const { api, worker, ports } = await startProduct(otlp.url);

  const { body: endpoint } = await ask(`${api.url}/v1/webhook-endpoints`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ url: hook.url, events: ['passive_liveness.completed'] }),
  });
  const image = await selfie();
  const answers = await Promise.all(
    callers.map(({ traceId, spanId }) =>
      postImage(api.url, image, {
        traceparent: `00-${traceId}-${spanId}-01`,
        baggage: 'a=baggage-mark',
      }),
    ),
  );
  await ask(`${api.url}/v1/jobs/${answers[0]!.requestId}?mark=query-mark`, {
    headers: { 'x-api-key': 'wrong-key-mark' },
  });
  const countAttempts = () => api.log.filter((line) => line['msg'] === 'webhook attempted').length;
  await vi.waitUntil(() => countAttempts() === 2, pollOptions);
  await vi.waitUntil(() => otlp.metricNames().has('livegate.queue.depth'), pollOptions);
  await vi.waitUntil(async () => /answer="LOW",shadow="LOW".*} 2\n/.test(await scrape(ports[1])), {
    timeout: 30_000,
    interval: 200,
  });
  const scrapes = await Promise.all(ports.map(scrape));
  // OTEL_BSP_SCHEDULE_DELAY makes the processes send their spans when they stop.
  expect(await Promise.all([api.stop(), worker.stop()])).toEqual([0, 0]);
  return {
    spans: otlp.spans(),
    raw: otlp.raw(),
    metricNames: otlp.metricNames(),
    scrapes,
    image,
    webhookSecret: String(endpoint['secret']),
    requestIds: answers.map(({ requestId }) => requestId),
    apiLog: api.log,
    workerLog: worker.log,
  };
}

/** A gateway and a worker that export all telemetry to the collector and to Prometheus. */
async function startProduct(collector: string) {
  const ports = [await findFreePort(), await findFreePort()] as const;
  const env = createEnv({
    LIVEGATE_WEBHOOK_ALLOWED_ADDRESSES: '127.0.0.1',
    LIVEGATE_AUDIT: 'stream',
    // Long enough for the second check to join the batch of the first.
    LIVEGATE_LINGER_MS: '20000',
    // It agrees with the answers.
    LIVEGATE_SHADOW_PROFILE: 'default',
    LIVEGATE_SHADOW_SHARE: '1',
    OTEL_EXPORTER_OTLP_ENDPOINT: collector,
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
    OTEL_METRICS_EXPORTER: 'otlp,prometheus',
    OTEL_METRIC_EXPORT_INTERVAL: '500',
    OTEL_BSP_SCHEDULE_DELAY: '600000',
  });
  const api = await startApi({ ...env, OTEL_EXPORTER_PROMETHEUS_PORT: `${ports[0]}` });
  // An answer with an `error_type`, which the alerts need.
  await untilReady(api.url, 503);
  const worker = await startWorker({ ...env, OTEL_EXPORTER_PROMETHEUS_PORT: `${ports[1]}` });
  closers.push(() => Promise.all([api.stop('SIGKILL'), worker.stop('SIGKILL')]));
  await untilReady(api.url);
  return { api, worker, ports };
}

async function scrape(port: number): Promise<string> {
  return (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
}

/** Answers the first attempt with 500, which delays that delivery, and the next ones with 200. */
async function startHook() {
  let calls = 0;
  const hook = createServer((req, res) => {
    req.resume();
    calls += 1;
    res.writeHead(calls === 1 ? 500 : 200).end();
  });
  hook.listen(0, '127.0.0.1');
  await once(hook, 'listening');
  const url = `http://127.0.0.1:${(hook.address() as AddressInfo).port}/hook?token=hook-mark`;
  return { url, close: () => void hook.close() };
}

function spansOf(traceId: string | undefined, name: string): ReceivedSpan[] {
  return recorded.spans.filter((span) => span.traceId === traceId && span.name === name);
}

/** The names of a span and its ancestors, without the caller's. */
function lineage(span: ReceivedSpan | undefined): string[] {
  if (!span) return [];
  const parent = recorded.spans.find(({ spanId }) => spanId === span.parentSpanId);
  return [span.name, ...lineage(parent)];
}

const request = 'POST /face/v1/passive-liveness';

describe('a trace', () => {
  it.each(callers)('continues the trace of the caller: $traceId', ({ traceId, spanId }) => {
    const [span] = spansOf(traceId, request);
    expect(span).toMatchObject({ kind: server, parentSpanId: spanId, service: 'livegate-api' });
    expect(span?.attributes).toMatchObject({
      'http.route': '/face/v1/passive-liveness',
      'http.request.method': 'POST',
      'http.response.status_code': 200,
      outcome: 'verdict',
    });
    expect(recorded.requestIds).toContain(span?.attributes['livegate.request.id']);
  });

  it.each(callers)(
    'passes through the queue into the worker and back to the gateway: $traceId',
    ({ traceId }) => {
      const [sent] = spansOf(traceId, 'send liveness');
      const [processed] = spansOf(traceId, 'process liveness');
      const [replied] = spansOf(traceId, 'receive replies');
      expect(sent).toMatchObject({ kind: producer, service: 'livegate-api' });
      expect(processed).toMatchObject({ kind: consumer, service: 'livegate-worker' });
      expect(processed?.attributes['messaging.destination.name']).toBe('liveness');
      expect(replied).toMatchObject({ kind: consumer, service: 'livegate-api' });
      const there = ['process liveness', 'send liveness', request];
      expect(lineage(processed)).toEqual(there);
      expect(lineage(replied)).toEqual(['receive replies', 'send replies', ...there]);
      for (const name of ['read upload', 'store image', 'await outcome']) {
        expect(lineage(spansOf(traceId, name)[0])).toEqual([name, request]);
      }
    },
  );

  it('is linked to the traces of the other checks in its batch', () => {
    const checks = callers.map(({ traceId }) => spansOf(traceId, 'process liveness')[0]!);
    const runs = recorded.spans.filter(({ name }) => name === 'process_batch liveness');
    expect(runs).toHaveLength(1);
    const [run] = runs;
    expect(run).toMatchObject({ kind: consumer, service: 'livegate-worker' });
    expect(run?.attributes['messaging.batch.message_count']).toBe(2);
    const linked = run?.links.map(({ spanId }) => spanId);
    expect(linked?.toSorted()).toEqual(checks.map(({ spanId }) => spanId).toSorted());
    const other = checks.find(({ traceId }) => traceId !== run?.traceId);
    expect(other?.links).toEqual([{ traceId: run?.traceId, spanId: run?.spanId }]);
  });

  it.each(callers)('has one span for each stage of the check: $traceId', ({ traceId }) => {
    const isOwner = spansOf(traceId, 'process_batch liveness').length > 0;
    const run = isOwner ? ['process_batch liveness'] : [];
    const check = ['process liveness', 'send liveness', request];
    for (const stage of ['claim', 'decode', 'detect', 'classify']) {
      const found = spansOf(traceId, stage);
      const isOfRun = stage === 'detect' || stage === 'classify';
      expect(found.map(lineage)).toEqual([[stage, ...(isOfRun ? run : []), ...check]]);
      expect(found[0]!.endedAt).toBeGreaterThan(found[0]!.startedAt);
    }
  });

  it.each(callers)('continues to the webhook attempt: $traceId', ({ traceId }) => {
    const [attempt] = spansOf(traceId, 'POST');
    expect(attempt).toMatchObject({ kind: client, service: 'livegate-api' });
    const hop = ['process webhooks', 'send webhooks'];
    const check = ['process liveness', 'send liveness', request];
    expect(lineage(attempt)).toEqual(['POST', ...hop, ...hop, ...check]);
    expect([200, 500]).toContain(attempt?.attributes['http.response.status_code']);
  });

  it.each(callers)('has its id in every log line of the check: $traceId', ({ traceId }) => {
    const [span] = spansOf(traceId, request);
    const requestId = span?.attributes['livegate.request.id'];
    const lines = [...recorded.apiLog, ...recorded.workerLog].filter(
      (line) => line['requestId'] === requestId,
    );
    expect(new Set(lines.map((line) => line['msg']))).toEqual(
      new Set(['check done', 'request completed']),
    );
    expect(lines).toHaveLength(2);
    for (const line of lines) expect(line).toMatchObject({ trace_id: traceId });
  });
});

describe('exported telemetry', () => {
  it('contains no image, credential, score or text that a client put into a URL', () => {
    const { raw, scrapes, image, webhookSecret } = recorded;
    const everything = [raw, ...scrapes].join('\n');
    expect(everything).toContain(recorded.requestIds[0]);
    const secrets = [
      'default-password',
      'default-api-key',
      Buffer.from('default-username:default-password').toString('base64'),
      webhookSecret,
      'hook-mark',
      'query-mark',
      'wrong-key-mark',
      'baggage-mark',
      'spoof_percentage',
      image.subarray(600, 640).toString('base64').slice(0, 40),
      image.subarray(600, 640).toString('hex'),
    ];
    expect(secrets.filter((secret) => everything.includes(secret))).toEqual([]);
  });

  it('has no attribute long enough for an image', () => {
    const values = recorded.spans.flatMap(({ attributes }) => Object.values(attributes));
    const lengths = values.map((value) => String(value).length);
    expect(Math.max(...lengths)).toBeLessThan(100);
  });

  it('names a request by its route, without ids', () => {
    const asked = recorded.spans.find(({ name }) => name === 'GET /v1/jobs/:id');
    expect(asked?.attributes).toMatchObject({ outcome: 'unauthorized' });
    const ids = Object.entries(asked?.attributes ?? {}).filter(([, value]) =>
      recorded.requestIds.includes(String(value)),
    );
    expect(ids).toEqual([]);
  });
});

describe('metrics', () => {
  it('have the same names in the collector and in Prometheus', () => {
    const scraped = [...readScrape(recorded.scrapes.join('\n')).keys()];
    const isScraped = (name: string) => {
      const stem = name.replaceAll('.', '_');
      return scraped.some((metric) => metric.startsWith(stem));
    };
    expect(recorded.metricNames.size).toBeGreaterThan(25);
    expect([...recorded.metricNames].filter((name) => !isScraped(name))).toEqual([]);
  });

  it('are exactly those that the documentation lists', async () => {
    const documented = (await readText('docs/reference/metrics.md')).matchAll(/^- `([a-z]\w+)`/gm);
    const emitted = recorded.scrapes
      .join('\n')
      .matchAll(/^# TYPE ((livegate|http|messaging)_\w+)/gm);
    const names = (matches: Iterable<RegExpMatchArray>) =>
      new Set([...matches].map(([, name]) => name));
    expect(names(documented)).toEqual(names(emitted));
  });

  it('count the checks, the batch and the webhook attempts that happened', () => {
    const [api = '', worker = ''] = recorded.scrapes;
    expect(api).toMatch(/livegate_webhook_attempts_total\{outcome="5xx",.*\} 1\n/);
    expect(api).toMatch(/livegate_webhook_attempts_total\{outcome="2xx",.*\} 1\n/);
    expect(api).toMatch(/livegate_queue_retries_total\{queue="webhooks",.*\} 1\n/);
    expect(api).toMatch(/livegate_webhook_queue_depth\{state="delayed",.*\} 1\n/);
    expect(api).toMatch(/livegate_queue_depth\{state="waiting",.*\} 0\n/);
    expect(api).toMatch(/livegate_ready\{.*\} 1\n/);
    expect(worker).toMatch(/livegate_verdicts_total\{verdict="LOW",.*\} 2\n/);
    expect(worker).toMatch(
      /livegate_model_assessments_total\{role="current",status="LOW",.*\} 2\n/,
    );
    expect(worker).toMatch(/livegate_model_set\{role="shadow",profile="default",.*\} 1\n/);
    expect(worker).toMatch(/livegate_shadow_checks_total\{agreement="same",.*\} 2\n/);
    expect(worker).toMatch(/livegate_shadow_score_difference_count\{.*\} 2\n/);
    // The shadow's runs are not among the batches.
    expect(worker).toMatch(/livegate_batch_size_count\{.*\} 1\n/);
    expect(worker).toMatch(/livegate_batch_size_bucket\{.*le="1"\} 0\n/);
    expect(worker).toMatch(/livegate_batch_size_bucket\{.*le="2"\} 1\n/);
    expect(worker).toMatch(/livegate_queue_wait_duration_seconds_count\{.*\} 2\n/);
  });

  it('have fewer than 500 series per process and no ids', () => {
    for (const text of recorded.scrapes) {
      const series = text.split('\n').filter((line) => line && !line.startsWith('#'));
      expect(series.length).toBeLessThan(500);
      for (const id of recorded.requestIds) expect(text).not.toContain(id);
    }
  });
});

interface Panel {
  title: string;
  type: string;
  targets?: { expr: string }[];
}

interface Rule {
  alert: string;
  expr: string;
  annotations: { runbook_url: string; summary: string; description: string };
  labels: { severity: string };
}

const readText = (path: string) => readFile(new URL(`../../${path}`, import.meta.url), 'utf8');

async function readPanels(): Promise<Panel[]> {
  const text = await readText('observability/grafana/dashboards/livegate.json');
  return (JSON.parse(text) as { panels: Panel[] }).panels;
}

async function readRules(): Promise<Rule[]> {
  const text = await readText('observability/prometheus/alerts.yml');
  return (parse(text) as { groups: { rules: Rule[] }[] }).groups.flatMap(({ rules }) => rules);
}

/** The metrics and labels of a query that the running processes do not emit. */
function findMissing(query: string): string[] {
  const emitted = readScrape(recorded.scrapes.join('\n'));
  return listSelections(query.replaceAll('$__rate_interval', '5m')).flatMap(
    ({ metric, labels }) => {
      const known = emitted.get(metric);
      if (!known) return [metric];
      // Prometheus adds these labels when it scrapes.
      const added = new Set(['job', 'instance']);
      const lacking = labels.filter((label) => !known.has(label) && !added.has(label));
      return lacking.map((label) => `${metric}{${label}}`);
    },
  );
}

describe('every metric and label', () => {
  it('in the dashboard is emitted', async () => {
    const panels = (await readPanels()).filter(({ type }) => type !== 'row');
    expect(panels.length).toBeGreaterThan(15);
    const queries = panels.flatMap(({ targets }) => targets!.map(({ expr }) => expr));
    expect(queries.flatMap(findMissing)).toEqual([]);
  });

  it('in an alert is emitted', async () => {
    const rules = await readRules();
    expect(rules.length).toBeGreaterThan(10);
    expect(rules.flatMap(({ expr }) => findMissing(expr))).toEqual([]);
  });

  it('that is misspelt would fail these tests', () => {
    expect(findMissing('sum(rate(livegate_verdict_total[5m]))')).toEqual([
      'livegate_verdict_total',
    ]);
    const misspelt = 'sum by (class) (livegate_queue_depth{stat="active"})';
    expect(findMissing(misspelt)).toEqual([
      'livegate_queue_depth{stat}',
      'livegate_queue_depth{class}',
    ]);
  });
});

describe('every alert', () => {
  it('has a section in the runbook, a severity, a summary and a description', async () => {
    const runbook = await readText('docs/how-to/runbook.md');
    const headings = [...runbook.matchAll(/^## (\w+)$/gm)].map(([, heading]) => heading);
    const rules = await readRules();
    expect(new Set(rules.map(({ alert }) => alert))).toEqual(new Set(headings));
    expect(rules).toHaveLength(headings.length);
    for (const { alert, annotations, labels } of rules) {
      expect(annotations.runbook_url).toBe(`docs/how-to/runbook.md#${alert.toLowerCase()}`);
      expect(['page', 'ticket']).toContain(labels.severity);
      expect(annotations.summary).not.toBe('');
      expect(annotations.description).not.toBe('');
    }
  });
});
