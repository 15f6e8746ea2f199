import { isErrorCode, type ReceivedSample, SAMPLES_KEPT_MS } from '@livegate/core/domain';
import {
  countIn,
  countOf,
  countWaiting,
  distributionBetween,
  groupByProcess,
  measureSeries,
  type Process,
  quantileOf,
  RATE_MS,
  ratesBetween,
  SILENT_MS,
  spanOf,
  sumOf,
} from './measure-processes.js';
import type { GatewayState, Latency, Queue, Snapshot, WorkerState } from './snapshot.js';

/** With fewer checks in the last minute, the latency is that of all kept samples. */
const LEAST_LATENCIES = 20;
/** The fastest answer of Redis counts in this time: a busy gateway reads some answers late. */
const ANSWER_MS = 30_000;

export interface Measured extends Pick<
  Snapshot,
  'rates' | 'latency' | 'queue' | 'batches' | 'workers' | 'gateways' | 'series'
> {
  redisAnswerMs: Record<string, number>;
  webhookQueue: { waiting: number; oldestAgeSeconds: number };
  /** Requests for a check per second, by tenant. */
  tenantRates: Map<string, number>;
  /** Requests and checks that ended with an error code, in the kept samples. */
  failureCounts: Map<string, number>;
}

/** The figures of all processes together, from what each published. */
export function measureInstallation(samples: ReceivedSample[], now: number): Measured {
  const processes = groupByProcess(samples, now);
  const current = processes.filter(({ latest }) => !latest.isLast);
  const alive = current.filter(({ latest }) => latest.at > now - SILENT_MS);
  // When no process has a new sample, Redis accepts none: then no process is reported as silent.
  const silentAfter = alive.length > 0 ? SILENT_MS : Number.POSITIVE_INFINITY;
  const gateways = current.filter(({ kind }) => kind === 'gateway');
  const workers = current.filter(({ kind }) => kind === 'worker');
  return {
    rates: ratesBetween(processes, now - RATE_MS, now),
    latency: measureLatency(processes, now),
    queue: measureQueue(processes),
    batches: measureBatches(processes, now),
    workers: workers.map((worker) => describeWorker(worker, { now, silentAfter })),
    gateways: gateways.map((gateway) => describeGateway(gateway, { now, silentAfter })),
    series: measureSeries(processes, now),
    redisAnswerMs: measureAnswers(processes, now),
    webhookQueue: measureWebhookQueue(processes),
    tenantRates: measureTenants(processes, now),
    failureCounts: countFailures(processes, now),
  };
}

function measureLatency(processes: Process[], now: number): Latency {
  const minute = distributionBetween(processes, 'checks', [now - RATE_MS, now]);
  const isEnough = countOf(minute) >= LEAST_LATENCIES;
  const all = distributionBetween(processes, 'checks', [now - SAMPLES_KEPT_MS, now]);
  const distribution = isEnough ? minute : all;
  const toMs = (seconds: number | undefined) =>
    seconds === undefined ? undefined : Math.round(seconds * 1000);
  return {
    p50Ms: toMs(quantileOf(distribution, 0.5)),
    p99Ms: toMs(quantileOf(distribution, 0.99)),
    checks: countOf(distribution),
    seconds: (isEnough ? RATE_MS : SAMPLES_KEPT_MS) / 1000,
  };
}

/** All gateways report the same queue: the newest report counts. */
function newestReport(processes: Process[], name: string): Record<string, number> {
  const reports = processes
    .filter(({ kind }) => kind === 'gateway')
    .flatMap(({ samples }) => samples.slice(-2))
    .filter(({ values }) => Object.keys(values).some((key) => key.startsWith(name)));
  return reports.toSorted((a, b) => b.at - a.at)[0]?.values ?? {};
}

function measureQueue(processes: Process[]): Queue {
  const values = newestReport(processes, 'livegate.queue.depth');
  const ageOf = (state: string) => values[`livegate.queue.oldest.age{state=${state}}`] ?? 0;
  const hasWork = Object.keys(values).some((key) => key.startsWith('livegate.queue.work'));
  return {
    waiting: countWaiting(values),
    running: values['livegate.queue.depth{state=active}'] ?? 0,
    oldestAgeSeconds: ageOf('waiting'),
    oldestAsyncAgeSeconds: ageOf('prioritized'),
    secondsOfWork: hasWork ? sumOf(values, 'livegate.queue.work') : undefined,
  };
}

const countEngines = ({ values }: ReceivedSample) => values['livegate.engine.count'] ?? 0;

function measureBatches(processes: Process[], now: number): Snapshot['batches'] {
  const span: [number, number] = [now - SAMPLES_KEPT_MS, now];
  const sizes = distributionBetween(processes, 'livegate.batch.size', span);
  return {
    mean: sizes && sizes.sum / countOf(sizes),
    sizes: (sizes?.buckets ?? []).map(([, upper, runs]) => ({ upTo: upper ?? undefined, runs })),
  };
}

interface Clock {
  now: number;
  silentAfter: number;
}

/** A worker without a sample. */
export const unmeasuredWorker: WorkerState = {
  id: '',
  isMeasured: false,
  silentSeconds: 0,
  isSilent: false,
  provider: undefined,
  profile: undefined,
  models: [],
  layout: {},
  utilization: 0,
  checksPerSecond: 0,
  runAgeSeconds: 0,
  auditFailures: 0,
};

function describeWorker(worker: Process, { now, silentAfter }: Clock): WorkerState {
  const { id, latest } = worker;
  const span = spanOf(worker, now - RATE_MS, now);
  const engines = countEngines(latest);
  const busySeconds = span ? countIn(span, 'livegate.engine.busy.time') : 0;
  const hours = spanOf(worker, now - SAMPLES_KEPT_MS, now);
  const isSilent = now - latest.at > silentAfter;
  return {
    ...unmeasuredWorker,
    id,
    isMeasured: true,
    silentSeconds: (now - latest.at) / 1000,
    isSilent,
    layout: latest.layout ?? {},
    utilization:
      span && engines > 0 && span.seconds > 0
        ? Math.min(1, busySeconds / span.seconds / engines)
        : 0,
    checksPerSecond: isSilent ? 0 : ratesBetween([worker], now - RATE_MS, now).checks,
    runAgeSeconds: latest.values['livegate.engine.run.age'] ?? 0,
    auditFailures: hours ? countIn(hours, 'livegate.audit.failures') : 0,
  };
}

function describeGateway({ id, latest }: Process, { now, silentAfter }: Clock): GatewayState {
  const { values } = latest;
  return {
    id,
    silentSeconds: (now - latest.at) / 1000,
    isSilent: now - latest.at > silentAfter,
    isReady: values['livegate.ready'] === 1,
    uploadShare:
      (values['livegate.upload.in_flight'] ?? 0) / (values['livegate.upload.limit'] ?? 1),
  };
}

/** The fastest answer of a Redis to any gateway, in milliseconds. */
function measureAnswers(processes: Process[], now: number): Record<string, number> {
  const fastest: Record<string, number> = {};
  const recent = processes.flatMap(({ samples }) =>
    samples.filter(({ at }) => at > now - ANSWER_MS),
  );
  for (const [key, seconds] of recent.flatMap(({ values }) => Object.entries(values))) {
    const [, redis] = /^livegate\.redis\.answer\.time\{redis=(\w+)\}$/.exec(key) ?? [];
    if (redis === undefined) continue;
    fastest[redis] = Math.min(seconds * 1000, fastest[redis] ?? Number.POSITIVE_INFINITY);
  }
  return fastest;
}

function measureWebhookQueue(processes: Process[]): Measured['webhookQueue'] {
  const values = newestReport(processes, 'livegate.webhook.queue.depth');
  const ages = ['waiting', 'prioritized'].map(
    (state) => values[`livegate.webhook.queue.oldest.age{state=${state}}`] ?? 0,
  );
  return {
    waiting: sumOf(values, 'livegate.webhook.queue.depth'),
    oldestAgeSeconds: Math.max(...ages),
  };
}

function measureTenants(processes: Process[], now: number): Map<string, number> {
  const rates = new Map<string, number>();
  for (const process of processes) {
    const span = spanOf(process, now - RATE_MS, now);
    if (!span || span.seconds === 0) continue;
    for (const [tenant, count] of Object.entries(span.to.tenants ?? {})) {
      const perSecond = (count - (span.from.tenants?.[tenant] ?? 0)) / span.seconds;
      if (perSecond > 0) rates.set(tenant, (rates.get(tenant) ?? 0) + perSecond);
    }
  }
  return rates;
}

/** By code. A failed check with a waiting caller is also a failed request, and counts once. */
function countFailures(processes: Process[], now: number): Map<string, number> {
  const sides = { requests: new Map<string, number>(), checks: new Map<string, number>() };
  for (const process of processes) {
    const span = spanOf(process, now - SAMPLES_KEPT_MS, now);
    if (!span) continue;
    for (const [key, count] of Object.entries(span.to.values)) {
      const [, name, code] = /^(requests|livegate\.check\.failures)\{\w+=(\w+)\}$/.exec(key) ?? [];
      const more = count - (span.from.values[key] ?? 0);
      if (!isErrorCode(code) || code === 'canceled' || more <= 0) continue;
      const side = name === 'requests' ? sides.requests : sides.checks;
      side.set(code, (side.get(code) ?? 0) + more);
    }
  }
  const codes = [...sides.requests.keys(), ...sides.checks.keys()];
  return new Map(
    codes.map((code) => [
      code,
      Math.max(sides.requests.get(code) ?? 0, sides.checks.get(code) ?? 0),
    ]),
  );
}
