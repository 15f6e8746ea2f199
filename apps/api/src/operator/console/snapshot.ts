/** The state of the whole installation, as `GET /console/snapshot` answers it. */
export interface Snapshot {
  /** Milliseconds since the epoch, by the clock of Redis where it answers. */
  at: number;
  /** The gateway that read it. */
  gateway: string;
  /** What needs attention, the most urgent first. */
  findings: Finding[];
  redis: {
    /** False: all other parts are empty, or as this gateway last read them. */
    isReachable: boolean;
    servers: RedisServer[];
  };
  rates: Rates;
  latency: Latency;
  queue: Queue;
  webhooks: { waiting: number; oldestAgeSeconds: number; failing: Receiver[] };
  /** Images in one engine run: how many runs had up to so many images, in the last minutes. */
  batches: { mean: number | undefined; sizes: { upTo: number | undefined; runs: number }[] };
  workers: WorkerState[];
  gateways: GatewayState[];
  tenants: TenantState[];
  failures: FailureState[];
  scores: ScoreShift;
  series: Series;
}

/** One thing that needs attention, in plain words. */
export interface Finding {
  /** Stable name of its kind, and of what it is about. */
  id: string;
  severity: 'critical' | 'warning';
  text: string;
  /** The section of the runbook that explains it. */
  runbook: string;
}

export interface RedisServer {
  name: string;
  /** False: its other figures are not known. */
  isReachable: boolean;
  usedBytes: number;
  /** 0: no limit. */
  limitBytes: number;
  isPersisting: boolean;
  /** The fastest answer to any gateway in the last half minute: a busy gateway looks slow, too. */
  answerMs: number;
}

/** Per second, over the last minute. */
export interface Rates {
  checks: number;
  /** Requests refused because the service was full, a tenant over its rate, or Redis silent. */
  refused: number;
  /** Requests and checks that ended with a fault of the service. */
  failed: number;
}

export interface Latency {
  /** From the request to the verdict; `undefined` without checks. */
  p50Ms: number | undefined;
  p99Ms: number | undefined;
  checks: number;
  /** How many seconds the figures are about. */
  seconds: number;
}

export interface Queue {
  waiting: number;
  running: number;
  /** Of the checks with a waiting caller, and of the async ones. */
  oldestAgeSeconds: number;
  oldestAsyncAgeSeconds: number;
  /** How long all workers together need for what waits; `undefined` while no gateway knows. */
  secondsOfWork: number | undefined;
}

export interface WorkerState {
  id: string;
  /** False: it is registered, but sends no samples, like a worker of an earlier version. */
  isMeasured: boolean;
  /** Seconds since its last sample. */
  silentSeconds: number;
  isSilent: boolean;
  provider: string | undefined;
  profile: string | undefined;
  models: string[];
  layout: Record<string, number>;
  /** Share of the time that its engines were busy, over the last minute. */
  utilization: number;
  checksPerSecond: number;
  /** How long its longest engine run has taken so far. */
  runAgeSeconds: number;
  auditFailures: number;
}

export interface GatewayState {
  id: string;
  silentSeconds: number;
  isSilent: boolean;
  isReady: boolean;
  /** Share of the memory for uploads that is in use. */
  uploadShare: number;
}

export interface TenantState {
  tenant: string;
  /** Requests for a check per second, over the last minute, refused ones too. */
  perSecond: number;
  /** Of all requests for a check in the last minute. */
  share: number;
  /** The latest 24 hours that have counts, oldest first. */
  hours: MixHour[];
  /** `undefined` with too few checks to compare. */
  shift: MixShift | undefined;
}

/** The verdicts of one tenant in one hour: at least ten checks, or the hour is missing. */
export interface MixHour {
  /** Start of the hour, in milliseconds since the epoch. */
  at: number;
  checks: number;
  statuses: Record<string, number>;
  quality: Record<string, number>;
}

/** The last half hour against the last week, without its latest two hours. */
export interface MixShift {
  recent: MixSide;
  reference: MixSide;
  /** The quality code whose share rose most, if one did. */
  risenCode: { code: string; recent: number; reference: number } | undefined;
}

export interface MixSide {
  /** Scored checks. */
  checks: number;
  /** Of these, the verdict HIGH. */
  high: number;
}

export interface FailureState {
  code: string;
  /** In the last 15 minutes. */
  count: number;
  /** Newest first. */
  requests: { id: string; at: number }[];
}

export interface Receiver {
  tenant: string;
  endpoint: string;
  failures: number;
  outcome: string;
  at: number;
}

/** The distribution of scores in the last hour against the last week. */
export interface ScoreShift {
  /** Population stability index; `undefined` with too few checks. */
  index: number | undefined;
  /** From here on the shift is reported. */
  limit: number;
  /** Lower bounds of the bins. */
  from: number[];
  /** Shares of the bins; empty without checks. */
  recent: number[];
  reference: number[];
  recentChecks: number;
  referenceChecks: number;
}

/** One value for each step, oldest first; `null` where there is none. */
export interface Series {
  stepSeconds: number;
  checks: number[];
  refused: number[];
  failed: number[];
  waiting: (number | null)[];
  p50Ms: (number | null)[];
  p99Ms: (number | null)[];
}
