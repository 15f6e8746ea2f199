import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../../telemetry/log.js';
import type { Keys } from '../keys.js';
import { reachRedis, type Redis } from './connect.js';

export interface RedisMemory {
  usedBytes: number;
  /** `maxmemory`; 0 is none. */
  limitBytes: number;
}

/** In a cluster, of the leader that is the fullest. */
export async function readMemory(redis: Redis): Promise<RedisMemory> {
  const servers = 'nodes' in redis ? redis.nodes('master') : [redis];
  const infos = await reachRedis(() => Promise.all(servers.map((server) => server.info('memory'))));
  const [fullest] = infos.map(parseMemory).toSorted((a, b) => fillOf(b) - fillOf(a));
  return fullest ?? { usedBytes: 0, limitBytes: 0 };
}

function parseMemory(info: string): RedisMemory {
  const fact = (name: string) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0);
  return { usedBytes: fact('used_memory'), limitBytes: fact('maxmemory') };
}

const fillOf = ({ usedBytes, limitBytes }: RedisMemory) =>
  limitBytes > 0 ? usedBytes / limitBytes : 0;

/** A Redis of the product, and the variable that says where it is. */
export interface WatchedRedis {
  redis: Redis;
  variable: 'REDIS_URL' | 'BLOB_REDIS_URL';
}

/** The images may be in the same Redis, over the same connection. */
export function listServers(redis: Redis, imageRedis: Redis): WatchedRedis[] {
  const queue = { redis, variable: 'REDIS_URL' } as const;
  const images = { redis: imageRedis, variable: 'BLOB_REDIS_URL' } as const;
  return redis === imageRedis ? [queue] : [queue, images];
}

export interface WatchSettingsOptions {
  servers: WatchedRedis[];
  keys: Keys;
  /** Throws at the start, and reports later, what elsewhere is only logged. */
  production: boolean;
  /** How long the start waits for the servers. One that answers later is looked at then. */
  waitMs: number;
  log: Log;
}

export interface RedisSettings {
  /** Settles when the start need not wait any longer. Rejects in production if something is wrong. */
  firstLook: Promise<void>;
  /** With `production`: what the last look found wrong, and how to change it. */
  findProblem(): string | undefined;
  close(): void;
}

const LOOK_MS = 10_000;
const RETRY_MS = 100;

/** Watches the settings under which Redis would lose accepted checks. */
export function watchSettings(options: WatchSettingsOptions): RedisSettings {
  const { servers, keys, production, waitMs, log } = options;
  const problems = new Map<WatchedRedis, string | undefined>();
  const warn = createWarnOnce(log);
  let closed = false;
  const findProblem = () => [...problems.values()].find((problem) => problem !== undefined);

  let timer: NodeJS.Timeout | undefined;
  const firstLook = lookAtStart();
  // The start looks at it later, perhaps after it has failed.
  firstLook.catch(() => undefined);
  return {
    firstLook,
    findProblem: () => (production ? findProblem() : undefined),
    close() {
      closed = true;
      clearTimeout(timer);
    },
  };

  async function lookAtStart(): Promise<void> {
    const deadline = performance.now() + waitMs;
    while (!(await lookAtAll()) && performance.now() < deadline) await sleep(RETRY_MS);
    lookAgainLater();
    const problem = findProblem();
    if (production && problem) throw new Error(problem);
  }

  function lookAgainLater(): void {
    if (!closed) timer = setTimeout(() => void lookAtAll().then(lookAgainLater), LOOK_MS);
  }

  /** False where one did not answer: its last look counts. */
  async function lookAtAll(): Promise<boolean> {
    const looks = await Promise.allSettled(servers.map(look));
    return looks.every(({ status }) => status === 'fulfilled');
  }

  async function look(server: WatchedRedis): Promise<void> {
    const { evictionPolicy, appendOnly } = await readSettings(server.redis, keys);
    problems.set(server, describeEviction(server, evictionPolicy));
    warn(problems.get(server));
    // What a managed Redis keeps instead cannot be seen from here.
    if (server.variable === 'REDIS_URL' && !appendOnly) warn(NO_FILE);
  }
}

function createWarnOnce(log: Log) {
  const told = new Set<string>();
  return (warning: string | undefined) => {
    if (!warning || told.has(warning)) return;
    told.add(warning);
    log.warn(warning);
  };
}

const NO_FILE =
  'the Redis at REDIS_URL has no append-only file: a restart of it loses accepted checks; set ' +
  'appendonly yes, unless it is a managed one that keeps its data in another way';

function describeEviction({ variable }: WatchedRedis, policy: string): string | undefined {
  if (policy === 'noeviction') return undefined;
  return (
    `the Redis at ${variable} has maxmemory-policy ${policy}: when its memory is full it drops ` +
    'accepted checks; run CONFIG SET maxmemory-policy noeviction, and set it in its configuration'
  );
}

interface Settings {
  evictionPolicy: string;
  appendOnly: boolean;
}

/** INFO, as managed servers forbid CONFIG; in a script with a key, so that a cluster asks its owner. */
async function readSettings(redis: Redis, keys: Keys): Promise<Settings> {
  const info = String(await redis.eval(READ_INFO, 1, keys.schema));
  return {
    evictionPolicy: /^maxmemory_policy:(\S+)/m.exec(info)?.[1] ?? 'noeviction',
    appendOnly: /^aof_enabled:1/m.test(info),
  };
}

const READ_INFO = `return redis.call('INFO', 'memory') .. redis.call('INFO', 'persistence')`;
