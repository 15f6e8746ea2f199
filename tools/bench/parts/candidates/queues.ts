// The candidates of decision 0011, each as small as it can be and with what would help it for nothing:
// gateway, workers and dispatcher are one process, so a dispatcher hears of both without asking Redis.
import { setInterval } from 'node:timers';
import { POLL_MS } from '@livegate/api/admission/admission';
import { HEAD_START_MS } from '@livegate/core/domain';
import { CHECK_QUEUE } from '@livegate/core/ports';
import { createKeys, createRedisCheckQueue, type Redis } from '@livegate/core/redis';
import { createRanksInWork } from '@livegate/worker/scheduling/by-rank';
import { type Job, Queue, Worker } from 'bullmq';
import type { Arrival } from './arrivals.js';
import { createTurns } from './turns.js';

export interface Site {
  /** The connections of a gateway and of a worker. */
  gateway: Redis;
  worker: Redis;
  prefix: string;
  /** All tenants that send checks, for a worker that has a queue for each. */
  tenants: readonly string[];
  /** Of each worker. */
  engines: Engines[];
  /** Jobs that a worker takes at once for each engine. */
  takenPerEngine: number;
}

export interface Engines {
  count: number;
  /** Occupies an engine, once no job that this worker has taken has a lower order. */
  run(id: string, order: number, begun?: () => void): Promise<void>;
}

export interface Candidate {
  add(arrival: Arrival): Promise<unknown>;
  close(): Promise<unknown>;
}

export type OpenCandidate = (site: Site) => Promise<Candidate>;

/** A job that the worker has taken from BullMQ. */
interface Taken extends Pick<Arrival, 'id' | 'job'> {
  /** Its BullMQ priority. */
  rank: number;
}

/** Jobs as the product keeps them. */
const TTL_SECONDS = 600;
const NAME = 'checks';

/** One BullMQ queue in the order of arrival. */
export const openFifo: OpenCandidate = async (site) => {
  const queue = openQueue(site, NAME);
  const workers = openWorkers(site, NAME, (engines, { id }) => engines.run(id, 0));
  return {
    add: ({ id, job }) => queue.add('check', job, { jobId: id }),
    close: () => closeAll([...workers, queue]),
  };
};

interface TurnOptions {
  costOf(job: Arrival['job']): number;
  headStart: number;
}

/**
 * A BullMQ queue for each tenant. Each worker takes jobs of all queues, and lets tenants take turns. It
 * knows all tenants from the start.
 */
export const openTenantQueues =
  ({ costOf, headStart }: TurnOptions): OpenCandidate =>
  async (site) => {
    const turns = new Map(site.engines.map((engines) => [engines, createTurns()]));
    const run: RunJob = (engines, { id, job }) => {
      const { take, begun } = turns.get(engines)!;
      const tag = take({ tenant: job.tenant, cost: costOf(job), headStart });
      return engines.run(id, tag, () => begun(tag));
    };
    const queues = new Map(site.tenants.map((tenant) => [tenant, openQueue(site, tenant)]));
    const workers = site.tenants.flatMap((tenant) => openWorkers(site, tenant, run));
    return {
      add: ({ id, job }) => queues.get(job.tenant)!.add('check', job, { jobId: id }),
      close: () => closeAll([...workers, ...queues.values()]),
    };
  };

/** How many jobs the dispatcher keeps in the BullMQ queue beside those that run. */
const AHEAD = 1;

const PUSH = `
  redis.call('RPUSH', KEYS[1], ARGV[2])
  if not redis.call('ZSCORE', KEYS[2], ARGV[1]) then
    local tags = redis.call('HMGET', KEYS[3], 'clock', 'of:' .. ARGV[1])
    local clock, last = tonumber(tags[1] or 0), tonumber(tags[2] or 0)
    redis.call('ZADD', KEYS[2], math.max(clock - ${HEAD_START_MS}, last), ARGV[1])
  end
  return redis.call('LLEN', KEYS[4])`;

const FILL = `
  local entries = {}
  for _ = redis.call('LLEN', KEYS[3]) + 1, tonumber(ARGV[1]) do
    local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
    local tenant = first[1]
    if not tenant then break end
    local list, entry = ARGV[2] .. tenant, redis.call('LPOP', ARGV[2] .. tenant)
    local tag = tonumber(first[2]) + cjson.decode(entry).job.ms
    local clock = math.max(tonumber(redis.call('HGET', KEYS[2], 'clock') or 0), tonumber(first[2]))
    redis.call('HSET', KEYS[2], 'clock', clock, 'of:' .. tenant, tag)
    if redis.call('EXISTS', list) == 1 then
      redis.call('ZADD', KEYS[1], tag, tenant)
    else
      redis.call('ZREM', KEYS[1], tenant)
    end
    table.insert(entries, { entry, first[2] })
  end
  return entries`;

type Tagged = Arrival['job'] & { tag: number };

/**
 * A list of waiting checks for each tenant, and a dispatcher that moves the next one to a short BullMQ
 * queue. It hears of an arrival or of a start without asking Redis, never dies, and loses no check
 * between the list and the queue.
 */
export const openWindow: OpenCandidate = async (site) => {
  const { gateway, prefix } = site;
  const [push, fill] = await Promise.all([loadScript(gateway, PUSH), loadScript(gateway, FILL)]);
  const queue = openQueue(site, NAME);
  const [turns, tags, wait] = [`${prefix}:turns`, `${prefix}:tags`, `${prefix}:${NAME}:wait`];
  let filling: Promise<void> | undefined;
  let hasRoom = false;
  const addEntry = ([entry, tag]: [string, string]) => {
    const { id, job } = JSON.parse(entry) as Taken;
    return queue.add('check', { ...job, tag: Number(tag) }, { jobId: id });
  };
  const dispatch = async () => {
    while (hasRoom) {
      hasRoom = false;
      const entries = await fill([turns, tags, wait], [AHEAD, `${prefix}:of:`]);
      await Promise.all((entries as [string, string][]).map(addEntry));
    }
  };
  const noteRoom = () => {
    hasRoom = true;
    filling ??= dispatch().finally(() => (filling = undefined));
  };
  const workers = openWorkers(site, NAME, (engines, { id, job }) => {
    noteRoom();
    return engines.run(id, (job as Tagged).tag);
  });
  return {
    async add({ id, job }) {
      const lists = [`${prefix}:of:${job.tenant}`, turns, tags, wait];
      const queued = await push(lists, [job.tenant, JSON.stringify({ id, job })]);
      if ((queued as number) < AHEAD) noteRoom();
    },
    async close() {
      await filling;
      await closeAll([...workers, queue]);
    },
  };
};

/**
 * The product: ranks by a virtual clock, as BullMQ priorities, and of the jobs that a worker has in
 * work. A gateway reads the flows as well.
 */
export const openRanks: OpenCandidate = async (site) => {
  const keys = createKeys(site.prefix);
  const options = { redis: site.gateway, keys, resultTtlSeconds: TTL_SECONDS };
  const queue = createRedisCheckQueue(options);
  const ranks = new Map(site.engines.map((engines) => [engines, createRanksInWork()]));
  const run: RunJob = (engines, { id, job: { tenant, ms }, rank }) => {
    const share = { flow: tenant, weight: 1, ms, rank };
    return ranks.get(engines)!.during(share, (order) => engines.run(id, order));
  };
  const workers = openWorkers(site, CHECK_QUEUE, run);
  const polling = setInterval(() => void queue.readFlows(), POLL_MS);
  return {
    async add({ id, job }) {
      const { tenant, ms } = job;
      const rank = await queue.takeRank({ tenant, isAwaited: true, weight: 1, ms });
      await queue.add(id, job, rank);
    },
    async close() {
      clearInterval(polling);
      await closeAll([...workers, queue]);
    },
  };
};

function openQueue({ gateway, prefix }: Site, name: string): Queue {
  return new Queue(name, { connection: gateway, prefix, streams: { events: { maxLen: 0 } } });
}

type RunJob = (engines: Engines, taken: Taken) => Promise<void>;

function openWorkers(site: Site, name: string, run: RunJob): Worker[] {
  const { worker: connection, prefix, takenPerEngine } = site;
  return site.engines.map((engines) => {
    const concurrency = takenPerEngine * engines.count;
    const take = ({ id, data: job, priority: rank }: Job<Arrival['job']>) =>
      run(engines, { id: id!, job, rank });
    const options = { connection, prefix, concurrency, removeOnComplete: { age: TTL_SECONDS } };
    const worker = new Worker(name, take, options);
    worker.on('error', (error) => console.error(error));
    return worker;
  });
}

async function closeAll(opened: { close(): Promise<void> }[]): Promise<void> {
  await Promise.all(opened.map((one) => one.close()));
}

async function loadScript(redis: Redis, lua: string) {
  const sha = (await redis.script('LOAD', lua)) as string;
  return (keys: string[], args: (string | number)[]) =>
    redis.evalsha(sha, keys.length, ...keys, ...args);
}
