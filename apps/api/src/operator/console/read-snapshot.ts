import {
  describeModels,
  type FailingReceiver,
  type FailureNote,
  type ReceivedSample,
  SAMPLES_KEPT_MS,
  type Tally,
  type TallyPeriod,
  tallyPeriods,
  type WorkerFacts,
} from '@livegate/core/domain';
import type { Monitoring, WorkerRegistry } from '@livegate/core/ports';
import { listFindings } from './list-findings.js';
import { measureInstallation, unmeasuredWorker } from './measure-installation.js';
import {
  listMix,
  measureMixShift,
  measureScoreShift,
  periodsAt,
  type TalliesByTime,
  type TallyHistory,
} from './measure-tallies.js';
import type { StateReader } from '../../telemetry/observe-gateway.js';
import type {
  FailureState,
  RedisServer,
  ScoreShift,
  Snapshot,
  TenantState,
  WorkerState,
} from './snapshot.js';

/** How long one snapshot answers all requests, so that more pages cost Redis nothing. */
const FRESH_MS = 1000;
const TALLIES_FRESH_MS = 10_000;
/** The samples in memory stay limited even if a clock jumps. */
const MAX_SAMPLES = 50_000;

export interface SnapshotDeps {
  gateway: string;
  monitoring: Monitoring;
  registry: Pick<WorkerRegistry, 'list'>;
  /** Read directly, not from samples: a Redis that refuses to change keys accepts none. */
  stateReaders: StateReader[];
  now: () => number;
}

export interface SnapshotReader {
  /** Never rejects: without Redis, the snapshot says so. */
  read(): Promise<Snapshot>;
  /** The shift of the scores, for the metric. */
  readScoreShift(): Promise<ScoreShift>;
}

/** Reads what all processes of the installation have published. */
export function createSnapshotReader(deps: SnapshotDeps): SnapshotReader {
  const { gateway, monitoring, registry, stateReaders, now } = deps;
  const samples = createSampleMemory(monitoring);
  const tallies = createTallyMemory(monitoring);
  let known: Facts = { ...nothing, now: now() };
  let latest: { at: number; snapshot: Promise<Snapshot> } | undefined;

  return {
    read() {
      if (!latest || performance.now() - latest.at > FRESH_MS) {
        latest = { at: performance.now(), snapshot: readNow() };
      }
      return latest.snapshot;
    },
    async readScoreShift() {
      return measureScoreShift(await tallies.read(now()), now());
    },
  };

  async function readNow(): Promise<Snapshot> {
    const isReachable = await readFacts().then(
      (facts) => {
        known = facts;
        return true;
      },
      () => false,
    );
    const at = isReachable ? known.now : now();
    const facts = presentFacts({ ...known, now: at }, { gateway, isReachable });
    return { ...facts, findings: listFindings(facts) };
  }

  async function readFacts(): Promise<Facts> {
    const [read, workers, notes, receivers, servers] = await Promise.all([
      samples.read(),
      registry.list(),
      monitoring.readFailures(),
      monitoring.readFailingReceivers(),
      Promise.all(stateReaders.map(readServer)),
    ]);
    return { ...read, workers, notes, receivers, servers, history: await tallies.read(read.now) };
  }
}

interface Facts {
  now: number;
  samples: ReceivedSample[];
  workers: WorkerFacts[];
  history: TallyHistory;
  notes: FailureNote[];
  receivers: FailingReceiver[];
  servers: RedisServer[];
}

const nothing: Omit<Facts, 'now'> = {
  samples: [],
  workers: [],
  history: { hours: new Map(), slots: new Map() },
  notes: [],
  receivers: [],
  servers: [],
};

async function readServer({ name, read }: StateReader): Promise<RedisServer> {
  const unknown = { usedBytes: 0, limitBytes: 0, isPersisting: true, answerMs: 0 };
  return read().then(
    (state) => ({ name, isReachable: true, ...state }),
    () => ({ name, isReachable: false, ...unknown }),
  );
}

/** Reads each sample once. */
function createSampleMemory(monitoring: Monitoring) {
  let kept: ReceivedSample[] = [];
  let cursor: string | undefined;
  return {
    async read() {
      const page = await monitoring.readSamples(cursor);
      ({ cursor } = page);
      kept = [...kept, ...page.samples]
        .filter(({ at }) => at > page.now - SAMPLES_KEPT_MS)
        .slice(-MAX_SAMPLES);
      return { samples: kept, now: page.now };
    },
  };
}

/** Reads ended periods once, and the current ones at each call. */
function createTallyMemory(monitoring: Monitoring) {
  const memories = { hour: new Map() as TalliesByTime, slot: new Map() as TalliesByTime };
  let latest: { at: number; history: Promise<TallyHistory> } | undefined;
  return {
    read(now: number): Promise<TallyHistory> {
      if (latest && performance.now() - latest.at < TALLIES_FRESH_MS) return latest.history;
      const history = update(now);
      latest = { at: performance.now(), history };
      history.catch(() => (latest = undefined));
      return history;
    },
  };

  async function update(now: number): Promise<TallyHistory> {
    const { week, day, lastHour } = periodsAt(now);
    await Promise.all([
      fill('hour', [...new Set([...week, ...day])], now),
      fill('slot', lastHour, now),
    ]);
    return { hours: memories.hour, slots: memories.slot };
  }

  async function fill(period: TallyPeriod, starts: number[], now: number): Promise<void> {
    const memory = memories[period];
    const { ms } = tallyPeriods[period];
    // A period can still grow a while after its end: another gateway's clock may be behind.
    const missing = starts.filter((start) => !memory.has(start) || start + 2 * ms > now);
    const read: Tally[][] = await monitoring.readTallies(
      period,
      missing.map((start) => start / ms),
    );
    for (const [index, start] of missing.entries()) memory.set(start, read[index] ?? []);
    const wanted = new Set(starts);
    for (const start of memory.keys()) if (!wanted.has(start)) memory.delete(start);
  }
}

function presentFacts(
  facts: Facts,
  { gateway, isReachable }: { gateway: string; isReachable: boolean },
): Omit<Snapshot, 'findings'> {
  const { now, samples, workers, history } = facts;
  const measured = measureInstallation(samples, now);
  const { redisAnswerMs, tenantRates, failureCounts, webhookQueue, ...rest } = measured;
  const servers = facts.servers.map((server) => ({
    ...server,
    answerMs: Math.min(server.answerMs, redisAnswerMs[server.name] ?? server.answerMs),
  }));
  return {
    at: now,
    gateway,
    redis: { isReachable, servers },
    ...rest,
    workers: listWorkers(measured.workers, workers),
    webhooks: { ...webhookQueue, failing: facts.receivers },
    tenants: listTenants(tenantRates, history, now),
    failures: listFailures(failureCounts, facts.notes),
    scores: measureScoreShift(history, now),
  };
}

/** A registered worker is alive. One of an earlier version is registered and sends no sample. */
function listWorkers(measured: WorkerState[], registered: WorkerFacts[]): WorkerState[] {
  const others = registered.filter(({ id }) => measured.every((worker) => worker.id !== id));
  return [...measured, ...others.map(({ id }) => ({ ...unmeasuredWorker, id }))].map((state) => {
    const facts = registered.find(({ id }) => id === state.id);
    if (!facts) return state;
    const models = facts.models.map((model) => describeModels([model]));
    const { executionProvider: provider, profile } = facts;
    return { ...state, isSilent: false, provider, profile, models };
  });
}

function listTenants(
  rates: Map<string, number>,
  history: TallyHistory,
  now: number,
): TenantState[] {
  const total = [...rates.values()].reduce((sum, perSecond) => sum + perSecond, 0);
  const counted = [...history.hours.values(), ...history.slots.values()].flat();
  const names = new Set([...rates.keys(), ...counted.map(({ tenant }) => tenant)]);
  return [...names]
    .map((tenant) => {
      const perSecond = rates.get(tenant) ?? 0;
      return {
        tenant,
        perSecond,
        share: total > 0 ? perSecond / total : 0,
        hours: listMix(history, tenant, now),
        shift: measureMixShift(history, tenant, now),
      };
    })
    .toSorted((a, b) => b.perSecond - a.perSecond || a.tenant.localeCompare(b.tenant));
}

function listFailures(counts: Map<string, number>, notes: FailureNote[]): FailureState[] {
  const codes = new Set([...counts.keys(), ...notes.map(({ code }) => code)]);
  return [...codes]
    .map((code) => ({
      code,
      count: counts.get(code) ?? 0,
      requests: notes.find((note) => note.code === code)?.requests ?? [],
    }))
    .filter(({ count, requests }) => count > 0 || requests.length > 0)
    .toSorted((a, b) => b.count - a.count || a.code.localeCompare(b.code));
}
