import type { Job, Queue } from 'bullmq';
import { type CheckJob, isAsyncJob } from '../../domain/check.js';
import {
  ASYNC_WEIGHT,
  type Flow,
  type Flows,
  HEAD_START_MS,
  type Lane,
  type RankRequest,
  refuseWait,
  toQueuedCheck,
  withPassed,
} from '../../domain/fair-queueing.js';
import { CHECK_QUEUE } from '../../ports.js';
import { defineScript, type Redis } from '../connection/connect.js';
import type { Keys } from '../keys.js';

/** The largest priority number, which BullMQ runs last. For checks that perhaps nobody wants. */
const LAST_RANK = 2 ** 21 - 1;
/** From this tag on, all tags are lowered, so that none reaches the last rank. */
const MAX_CLOCK = 2 ** 20;
/** A flow without a check for this time is forgotten, in seconds. */
const TTL_SECONDS = 3600;
/** What BullMQ multiplies a priority by, to make room for the order of equal ones. */
const SCORES_OF_RANK = 2 ** 32;

/** The time of a check of an older gateway, which does not say it. */
const UNKNOWN_MS = 20;

export interface RanksOptions {
  redis: Redis;
  keys: Keys;
}

/** The order of the queued checks: `fair-queueing.ts` of the domain, in Redis. */
export function createRanks(queue: Queue<CheckJob>, options: RanksOptions) {
  const takeFor = (job: CheckJob, isAwaited?: boolean) =>
    takeRank(options, describeRank(job, isAwaited));

  return {
    take: (request: RankRequest) => takeRank(options, request),
    takeFor,
    async prioritize(id: string): Promise<void> {
      const job = await queue.getJob(id);
      if (!job?.priority || !isAsyncJob(job.data)) return;
      await changePriority(job, Math.min(job.priority, await takeFor(job.data, true)));
    },
    async defer(id: string, to: 'async' | 'last'): Promise<void> {
      const job = await queue.getJob(id);
      if (!job || job.finishedOn !== undefined) return;
      await outliveCaller(job);
      // It keeps its place.
      if (to === 'async' && isAsyncJob(job.data)) return;
      await changePriority(job, to === 'last' ? LAST_RANK : await takeFor(job.data, false));
    },
    read: () => readFlows(options),
  };
}

function describeRank(job: CheckJob, isAwaited = !isAsyncJob(job)): RankRequest {
  const { tenant, weight = 1, ms = UNKNOWN_MS } = job;
  return { tenant, isAwaited, weight, ms };
}

/** From now on it runs even if the gateway that its caller waited at dies. */
async function outliveCaller(job: Job<CheckJob>): Promise<void> {
  const { isCallersOnly, ...data } = job.data;
  if (isCallersOnly) await job.updateData(data);
}

async function changePriority(job: Job, priority: number): Promise<void> {
  // The job may have ended and been removed since it was read.
  await job.changePriority({ priority }).catch(() => undefined);
}

/**
 * Gives a check its rank: its BullMQ priority, which is its tag as a whole number from 1. Throws
 * `overloaded` if it would wait for too long.
 */
async function takeRank({ redis, keys }: RanksOptions, request: RankRequest): Promise<number> {
  const { flow, weight, ms } = toQueuedCheck(request);
  const { maxWaitMs } = request;
  const used = [keys.flows, bull(keys, 'prioritized'), bull(keys, 'wait'), bull(keys, 'delayed')];
  const args = [flow, weight, ms, maxWaitMs ?? -1, UNKNOWN_MS, keys.job('')];
  const [rank, waitMs] = (await runTakeRank(redis, used, args)) as [number, string];
  if (rank === 0) throw refuseWait(Number(waitMs), maxWaitMs ?? 0);
  return rank;
}

async function readFlows({ redis, keys }: RanksOptions): Promise<Flows> {
  const used = [keys.flows, bull(keys, 'prioritized'), bull(keys, 'wait'), bull(keys, 'delayed')];
  const answer = await runReadFlows(redis, used, [keys.job(''), UNKNOWN_MS]);
  const [clock, head, untagged, delayed, ...stored] = answer as FlowsAnswer;
  const flows = new Map<string, Flow>();
  for (let i = 0; i < stored.length; i += 3) {
    flows.set(stored[i]!, { tag: Number(stored[i + 1]), weight: Number(stored[i + 2]) });
  }
  const untaggedMs = untagged * UNKNOWN_MS;
  const times = delayed.map(([tenant, lane, weight, passed]) => ({
    ...toQueuedCheck({ tenant, isAwaited: lane === 'awaited', weight: Number(weight), ms: 0 }),
    passed: Number(passed),
  }));
  return withPassed({ clock: Number(clock), head: Number(head), untaggedMs, flows }, times);
}

/**
 * Clock, head, number of jobs without a tag; tenant, lane, weight and passed time of delayed jobs;
 * then name, tag and weight of each flow.
 */
type FlowsAnswer = [string, string, number, [string, Lane, string, string][], ...string[]];

const bull = (keys: Keys, name: string) => `${keys.prefix}:${CHECK_QUEUE}:${name}`;

/** The field with the clock and the time at which it was set; a flow's name is longer. */
const CLOCK = 'clock';

/** `advanceClock` of the domain. A Redis that refuses writes still answers the gateways' polls. */
const ADVANCE_CLOCK = `
  local time = redis.call('TIME')
  local now = time[1] * 1000 + time[2] / 1000
  local flows, clock, at = {}, 0, now
  local fields = redis.call('HGETALL', KEYS[1])
  for i = 1, #fields, 2 do
    local first, second = string.match(fields[i + 1], '^(%S+) (%S+)$')
    if fields[i] == '${CLOCK}' then
      clock, at = tonumber(first), tonumber(second)
    else
      flows[fields[i]] = { tag = tonumber(first), weight = tonumber(second) }
    end
  end

  local score = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2]
  local rank = score and math.floor(tonumber(score) / ${SCORES_OF_RANK}) or ${LAST_RANK}
  local isEmpty = rank >= ${LAST_RANK}
  if isEmpty then
    clock = clock + now - at
  else
    clock = math.max(clock, rank - 1 - ${HEAD_START_MS})
  end
  local head = isEmpty and clock or math.max(clock, rank - 1)

  local isIdle = true
  for name, flow in pairs(flows) do
    if flow.tag <= clock then
      redis.pcall('HDEL', KEYS[1], name)
      flows[name] = nil
    else
      isIdle = false
    end
  end
  if isIdle and isEmpty then clock, head = 0, 0 end`;

/**
 * Adds up the delayed jobs of a flow, as `withDelayed` of the domain: there may be thousands.
 *
 * Also stores the clock, which would otherwise stand still while workers empty the queue and no check
 * comes: the flows of a small weight, whose tags are far apart, would then seem to wait for minutes.
 */
const runReadFlows = defineScript(`${ADVANCE_CLOCK}
  if #fields > 0 then
    redis.pcall('HSET', KEYS[1], '${CLOCK}', string.format('%.3f %.3f', clock, now))
  end
  local of_flow, delayed = {}, {}
  for _, id in ipairs(redis.call('ZRANGE', KEYS[4], 0, -1)) do
    local found = redis.call('HMGET', ARGV[1] .. id, 'data', 'priority')
    if found[1] and found[2] then
      local job, tag = cjson.decode(found[1]), tonumber(found[2]) - 1
      local is_async = job.replyTo == nil or job.isAsync == true
      local lane, weight = is_async and 'async' or 'awaited', job.weight or 1
      local length = (job.ms or ARGV[2]) / (is_async and weight * ${ASYNC_WEIGHT} or weight)
      local name, passed = lane .. job.tenant, math.min(length, head - (tag - length))
      local flow = of_flow[name] or { job.tenant, lane, tostring(weight), 0 }
      if passed > 0 then of_flow[name], flow[4] = flow, flow[4] + passed end
    end
  end
  for _, flow in pairs(of_flow) do
    table.insert(delayed, { flow[1], flow[2], flow[3], tostring(flow[4]) })
  end
  local read = {
    string.format('%.3f', clock), string.format('%.3f', head), redis.call('LLEN', KEYS[3]), delayed,
  }
  for name, flow in pairs(flows) do
    for _, value in ipairs({ name, tostring(flow.tag), tostring(flow.weight) }) do
      table.insert(read, value)
    end
  end
  return read`);

/**
 * `advanceClock`, `waitBefore` and `nextTag` of the domain in one step, so that two gateways
 * never give the same place to two checks.
 *
 * No queued check has a rank beyond all tags, except one that got it before the tags were lowered and
 * was not in the queue then: it was running, or its image was being stored. It becomes the next one.
 */
const runTakeRank = defineScript(`
  local own, weight, ms = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
  local limit, untagged = tonumber(ARGV[4]), tonumber(ARGV[5])
${ADVANCE_CLOCK}

  local highest = clock
  for _, flow in pairs(flows) do highest = math.max(highest, flow.tag) end
  local beyond = (math.floor(highest) + 2) * ${SCORES_OF_RANK}
  local stale = redis.call(
    'ZRANGEBYSCORE', KEYS[2], string.format('%.0f', beyond),
    '(' .. string.format('%.0f', ${LAST_RANK} * ${SCORES_OF_RANK}), 'WITHSCORES')
  for i = 1, #stale, 2 do
    local next_rank = math.floor(clock) + 1
    local order = tonumber(stale[i + 1]) % ${SCORES_OF_RANK}
    redis.call('ZADD', KEYS[2], next_rank * ${SCORES_OF_RANK} + order, stale[i])
    redis.call('HSET', ARGV[6] .. stale[i], 'priority', next_rank)
  end

  local last = flows[own] and math.max(clock, flows[own].tag) or clock
  local wait = untagged * redis.call('LLEN', KEYS[3])
  for _, flow in pairs(flows) do
    wait = wait + flow.weight * math.max(0, math.min(flow.tag, last) - head)
  end
  if limit >= 0 and wait > limit then return { 0, string.format('%.3f', wait) } end

  if clock > ${MAX_CLOCK} then
    local lower = math.floor(clock)
    local lowered = function(job)
      local old = tonumber(redis.call('HGET', ARGV[6] .. job, 'priority') or 0)
      if old <= 0 or old >= ${LAST_RANK} then return nil end
      local new = math.max(1, old - lower)
      redis.call('HSET', ARGV[6] .. job, 'priority', new)
      return new
    end
    local queued = redis.call('ZRANGE', KEYS[2], 0, -1, 'WITHSCORES')
    for i = 1, #queued, 2 do
      local new = lowered(queued[i])
      local order = tonumber(queued[i + 1]) % ${SCORES_OF_RANK}
      if new then redis.call('ZADD', KEYS[2], new * ${SCORES_OF_RANK} + order, queued[i]) end
    end
    for _, job in ipairs(redis.call('ZRANGE', KEYS[4], 0, -1)) do lowered(job) end
    for name, flow in pairs(flows) do
      flow.tag = flow.tag - lower
      redis.call('HSET', KEYS[1], name, string.format('%.3f %.6f', flow.tag, flow.weight))
    end
    clock, last = clock - lower, last - lower
  end

  local tag = last + ms / weight
  redis.call('HSET', KEYS[1],
    own, string.format('%.3f %.6f', tag, weight),
    '${CLOCK}', string.format('%.3f %.3f', clock, now))
  redis.call('EXPIRE', KEYS[1], ${TTL_SECONDS})
  local given = math.min(math.floor(tag) + 1, ${LAST_RANK} - 1)
  return { given, string.format('%.3f', wait) }`);
