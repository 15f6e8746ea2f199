import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectForBackground, type Redis } from '@livegate/core/redis';
import { createLog } from '@livegate/core/telemetry';
import { percentile } from '../../rounds.js';
import { readRedisUsage } from '../gateways.js';
import { type Arrival, ENGINES, type Scenario } from './arrivals.js';
import type { Candidate, Engines, OpenCandidate } from './queues.js';
import { createSlots } from './turns.js';

export interface SendOptions {
  url: string;
  open: OpenCandidate;
  /** Of all arrivals. */
  seconds: number;
  scenario: Scenario;
}

/** What one candidate did with the arrivals. */
export interface Outcome {
  /** Latencies of the small tenants, from their arrival to the end of the engine's run. */
  p50: number;
  p95: number;
  /** The share of the small tenants' checks that was accepted. */
  answered: number;
  /** The share of all engines that was busy. */
  work: number;
  /** Per check; those in scripts as well. */
  commands: number;
  scripts: number;
  redisMs: number;
  connections: number;
}

/** The flood has filled its backlog by then. */
const WARM_UP_SHARE = 0.25;
/** What small tenants or those of the flood may have queued together, in time of all engines. */
const BACKLOG_MS = 1000;

/** One runs, and one is ready for the engine, as in the product. */
const TAKEN_PER_ENGINE = 2;

/** Sends the arrivals to a candidate, and waits until the accepted ones of small tenants have ended. */
export async function sendArrivals(arrivals: Arrival[], options: SendOptions): Promise<Outcome> {
  const { url, seconds } = options;
  const log = createLog('api', 'error');
  const connect = (name: string) => connectForBackground({ url, name }, log);
  const [gateway, worker] = [connect('api'), connect('worker')];
  await Promise.all([gateway.ping(), worker.ping()]);
  const checks = createChecks();
  const tenants = [...new Set(arrivals.map(({ job }) => job.tenant))];
  const prefix = `{bench-${randomUUID()}}`;
  const { workers = 1 } = options.scenario;
  const engines = Array.from({ length: workers }, () => checks.openEngines(ENGINES / workers));
  const site = { gateway, worker, prefix, tenants, engines, takenPerEngine: TAKEN_PER_ENGINE };
  const candidate = await options.open(site);

  const from = performance.now();
  const [fromMs, toMs] = [from + 1000 * WARM_UP_SHARE * seconds, from + 1000 * seconds];
  const readAt = (atMs: number) => sleep(atMs - performance.now()).then(() => readUsage(gateway));
  const usage = Promise.all([readAt(fromMs), readAt(toMs)]);
  const sent = await sendAll(arrivals, { ...options, from, checks, candidate });
  const [before, after] = await usage;

  const small = sent.filter(({ isSmall, atMs }) => isSmall && atMs >= fromMs);
  const latencies = await Promise.all(
    small.flatMap(({ atMs, accepted }) => accepted?.ended.then((endMs) => endMs - atMs) ?? []),
  );
  await Promise.all(sent.flatMap(({ accepted }) => accepted?.added ?? []));
  checks.stop();
  await candidate.close();
  for (const redis of [gateway, worker]) redis.disconnect();

  const { ended, busyMs } = checks.between(fromMs, toMs);
  return {
    p50: percentile(latencies, 0.5),
    p95: percentile(latencies, 0.95),
    answered: latencies.length / small.length,
    work: busyMs / (toMs - fromMs) / ENGINES,
    commands: (after.commands - before.commands) / ended,
    scripts: (after.scripts - before.scripts) / ended,
    redisMs: (after.cpuMs - before.cpuMs) / ended,
    connections: after.clients,
  };
}

interface Sending extends SendOptions {
  from: number;
  checks: ReturnType<typeof createChecks>;
  candidate: Candidate;
}

interface Sent {
  isSmall: boolean;
  atMs: number;
  /** Absent for a refused check. */
  accepted?: { ended: Promise<number>; added: Promise<unknown> };
}

async function sendAll(arrivals: Arrival[], options: Sending): Promise<Sent[]> {
  const { from, checks, candidate, scenario } = options;
  const sent: Sent[] = [];
  for (const arrival of arrivals) {
    const { isSmall } = arrival;
    const atMs = from + arrival.atMs;
    if (atMs > performance.now()) await sleep(atMs - performance.now());
    const { tenants } = isSmall ? scenario.small : scenario.flood;
    const ended = checks.admit(arrival, BACKLOG_MS / tenants);
    const accepted = ended && { ended, added: candidate.add(arrival) };
    sent.push({ isSmall, atMs, ...(accepted && { accepted }) });
  }
  return sent;
}

async function readUsage(redis: Redis) {
  const [{ cpuMs, clients }, stats] = await Promise.all([
    readRedisUsage(redis),
    redis.info('commandstats'),
  ]);
  const calls = [...stats.matchAll(/^cmdstat_(\S+):calls=(\d+)/gm)];
  const sum = (counted: typeof calls) => counted.reduce((total, [, , n]) => total + Number(n), 0);
  return {
    cpuMs,
    clients,
    commands: sum(calls),
    scripts: sum(calls.filter(([, name]) => name === 'evalsha')),
  };
}

interface Run {
  fromMs: number;
  toMs: number;
  runMs: number;
}

/** Engines that only wait, and the same limit on what a tenant has queued for every candidate. */
function createChecks() {
  const queuedMs = new Map<string, number>();
  const accepted = new Map<string, { arrival: Arrival; end: (at: number) => void }>();
  const runs: Run[] = [];
  let isStopped = false;
  const count = ({ tenant, ms }: Arrival['job'], sign: 1 | -1) =>
    queuedMs.set(tenant, (queuedMs.get(tenant) ?? 0) + sign * ms);
  const run = async (id: string) => {
    const { arrival, end } = accepted.get(id)!;
    const fromMs = performance.now();
    count(arrival.job, -1);
    if (!isStopped) await sleep(arrival.runMs);
    const toMs = performance.now();
    runs.push({ fromMs, toMs, runMs: arrival.runMs });
    end(toMs);
  };

  return {
    /** Resolves to the end of the check; `undefined` if it is refused. */
    admit(arrival: Arrival, limitMs: number): Promise<number> | undefined {
      if ((queuedMs.get(arrival.job.tenant) ?? 0) >= limitMs) return undefined;
      count(arrival.job, 1);
      return new Promise((end) => accepted.set(arrival.id, { arrival, end }));
    },
    openEngines(engines: number): Engines {
      const slots = createSlots(engines);
      const runInTurn: Engines['run'] = async (id, order, begun) => {
        const release = await slots.take(order);
        begun?.();
        await run(id).finally(release);
      };
      return { count: engines, run: runInTurn };
    },
    /** From now on a run takes no time. */
    stop(): void {
      isStopped = true;
    },
    /** What ended between two times, and for how long engines were to be busy with it. */
    between(fromMs: number, toMs: number) {
      return {
        ended: runs.filter((one) => one.toMs >= fromMs && one.toMs < toMs).length,
        busyMs: runs.reduce((sum, one) => sum + overlapMs(one, { fromMs, toMs }), 0),
      };
    },
  };
}

/** The part of a run within a time; without what timers and a busy event loop add to it. */
function overlapMs(run: Run, { fromMs, toMs }: Omit<Run, 'runMs'>): number {
  const overlap = Math.min(run.toMs, toMs) - Math.max(run.fromMs, fromMs);
  return (run.runMs * Math.max(0, overlap)) / (run.toMs - run.fromMs || 1);
}
