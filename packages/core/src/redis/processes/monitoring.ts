import {
  type FailingReceiver,
  type FailureNote,
  type ProcessSample,
  type ReceivedSample,
  type ReceiverAttempt,
  SAMPLES_KEPT_MS,
  type Tally,
  tallyPeriods,
} from '../../domain/operation/monitoring.js';
import type { Monitoring, SamplePage } from '../../ports.js';
import { reachRedis, type Redis } from '../connection/connect.js';
import type { Keys } from '../keys.js';

/** Samples of one reply: a reply of all samples of many processes would block Redis for longer. */
const PAGE = 2000;
/** Ids that are kept of each error code. */
const MAX_NOTES = 10;
const NOTES_TTL_SECONDS = 24 * 60 * 60;

/**
 * Redis's clock decides in which period a tally counts and how old a sample is: the clocks of the
 * processes may differ.
 *
 * KEYS: the stream. ARGV: the sample, how long samples are kept, start and length and TTL of the
 * keys of both periods, then tenant, count key and count of each number.
 */
const PUBLISH = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('XADD', KEYS[1], 'MINID', '~', now - ARGV[2], '*', 'sample', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2] * 2)
if #ARGV == 8 then return end
for period = 3, 6, 3 do
  local key = ARGV[period] .. string.format('%d', math.floor(now / ARGV[period + 1]))
  for i = 9, #ARGV, 2 do
    redis.call('HINCRBY', key, ARGV[i], ARGV[i + 1])
  end
  redis.call('EXPIRE', key, ARGV[period + 2])
end`;

/** KEYS: the stream. ARGV: the first id, the number of samples. */
const READ_SAMPLES = `
return { redis.call('TIME'), redis.call('XRANGE', KEYS[1], ARGV[1], '+', 'COUNT', ARGV[2]) }`;

/**
 * KEYS: the hash; of a check also its job and its mark. ARGV: code, id, how many are kept, their TTL.
 * A check that was deleted meanwhile has no job, or a mark. A code without newer requests leaves
 * here: a hash has one TTL for all its fields.
 */
const NOTE_FAILURE = `
if KEYS[2] and redis.call('EXISTS', KEYS[2]) == 0 then return end
if KEYS[3] and redis.call('GET', KEYS[3]) == 'deleted' then return end
local now = redis.call('TIME')[1] * 1000
local fields = redis.call('HGETALL', KEYS[1])
local notes = {}
for i = 1, #fields, 2 do
  if fields[i] == ARGV[1] then notes = cjson.decode(fields[i + 1])
  elseif cjson.decode(fields[i + 1])[1].at < now - ARGV[4] * 1000 then
    redis.call('HDEL', KEYS[1], fields[i])
  end
end
table.insert(notes, 1, { id = ARGV[2], at = now })
while #notes > tonumber(ARGV[3]) do table.remove(notes) end
redis.call('HSET', KEYS[1], ARGV[1], cjson.encode(notes))
redis.call('EXPIRE', KEYS[1], ARGV[4])`;

/** Longer than the longest wait between two attempts, of 24 hours and its jitter. */
const RECEIVERS_TTL_SECONDS = 2 * 24 * 60 * 60;

/**
 * KEYS: the hash; of an endpoint also its tenant's endpoints, where a deleted one is missing. ARGV:
 * the receiver, the outcome, the TTL, the endpoint's id.
 */
const NOTE_FAILED_ATTEMPT = `
if KEYS[2] and redis.call('HEXISTS', KEYS[2], ARGV[4]) == 0 then return end
local now = redis.call('TIME')[1] * 1000
local known = redis.call('HGET', KEYS[1], ARGV[1])
local failures = known and cjson.decode(known).failures + 1 or 1
local note = { failures = failures, outcome = ARGV[2], at = now }
redis.call('HSET', KEYS[1], ARGV[1], cjson.encode(note))
redis.call('EXPIRE', KEYS[1], ARGV[3])`;

/** KEYS: the hash. ARGV: the id. */
const FORGET_FAILURE = `
local fields = redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
  local kept = {}
  local notes = cjson.decode(fields[i + 1])
  for _, note in ipairs(notes) do
    if note.id ~= ARGV[1] then table.insert(kept, note) end
  end
  if #kept == 0 then redis.call('HDEL', KEYS[1], fields[i])
  elseif #kept < #notes then redis.call('HSET', KEYS[1], fields[i], cjson.encode(kept)) end
end`;

export function createRedisMonitoring(redis: Redis, keys: Keys): Monitoring {
  return {
    publish: (sample, tallies) => reachRedis(() => publish({ redis, keys }, sample, tallies)),
    readSamples: (cursor) => reachRedis(() => readSamples(redis, keys, cursor)),
    readTallies: (period, numbers) =>
      reachRedis(() =>
        Promise.all(
          numbers.map(async (n) =>
            parseTallies(await redis.hgetall(`${keys.tallies(period)}${n}`)),
          ),
        ),
      ),
    async noteFailure({ code, id, isCheck }) {
      const used = [keys.failures, ...(isCheck ? [keys.job(id), keys.cancellation(id)] : [])];
      const args = [code, id, MAX_NOTES, NOTES_TTL_SECONDS];
      await reachRedis(() => redis.eval(NOTE_FAILURE, used.length, ...used, ...args));
    },
    readFailures: () => reachRedis(() => readFailures(redis, keys)),
    noteAttempt: (attempt) => reachRedis(() => noteAttempt(redis, keys, attempt)),
    readFailingReceivers: () => reachRedis(() => readFailingReceivers(redis, keys)),
  };
}

async function publish(
  { redis, keys }: { redis: Redis; keys: Keys },
  sample: ProcessSample,
  tallies: Tally[],
): Promise<void> {
  const { hour, slot } = tallyPeriods;
  const periods = [
    [keys.tallies('hour'), hour.ms, hour.ttlSeconds],
    [keys.tallies('slot'), slot.ms, slot.ttlSeconds],
  ];
  const increments = tallies.flatMap(({ tenant, counts }) =>
    Object.entries(counts).flatMap(([key, count]) => [`${tenant}|${key}`, count]),
  );
  const args = [JSON.stringify(sample), SAMPLES_KEPT_MS, ...periods.flat(), ...increments];
  await redis.eval(PUBLISH, 1, keys.samples, ...args);
}

async function readSamples(redis: Redis, keys: Keys, cursor = '-'): Promise<SamplePage> {
  const reply = await redis.eval(READ_SAMPLES, 1, keys.samples, cursor, PAGE);
  const [[seconds, microseconds], entries] = reply as [
    [string, string],
    [string, [string, string]][],
  ];
  const now = Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000);
  const samples = entries.map(readSample);
  const last = entries.at(-1)?.[0];
  const next = { samples, cursor: last === undefined ? cursor : `(${last}`, now };
  if (entries.length < PAGE) return next;
  const rest = await readSamples(redis, keys, next.cursor);
  return { ...rest, samples: [...samples, ...rest.samples] };
}

function readSample([id, [, json]]: [string, [string, string]]): ReceivedSample {
  return { ...(JSON.parse(json) as ProcessSample), at: Number.parseInt(id, 10) };
}

/** A tenant's name has no vertical bar. */
function parseTallies(fields: Record<string, string>): Tally[] {
  const byTenant = new Map<string, Tally>();
  for (const [field, count] of Object.entries(fields)) {
    const [tenant = '', key = ''] = field.split('|');
    const tally = byTenant.get(tenant) ?? { tenant, counts: {} };
    tally.counts[key] = Number(count);
    byTenant.set(tenant, tally);
  }
  return [...byTenant.values()];
}

async function readFailures(redis: Redis, keys: Keys): Promise<FailureNote[]> {
  const fields = await redis.hgetall(keys.failures);
  const since = Date.now() - NOTES_TTL_SECONDS * 1000;
  return Object.entries(fields).map(([code, json]) => {
    const requests = JSON.parse(json) as FailureNote['requests'];
    return { code, requests: requests.filter(({ at }) => at >= since) };
  });
}

async function noteAttempt(redis: Redis, keys: Keys, attempt: ReceiverAttempt): Promise<void> {
  const { tenant, endpoint, outcome } = attempt;
  const receiver = receiverField(tenant, endpoint);
  if (outcome === '2xx') await redis.hdel(keys.failingReceivers, receiver);
  else {
    const endpoints = endpoint === 'webhook_url' ? [] : [keys.webhookEndpoints(tenant)];
    const used = [keys.failingReceivers, ...endpoints];
    const args = [receiver, outcome, RECEIVERS_TTL_SECONDS, endpoint];
    await redis.eval(NOTE_FAILED_ATTEMPT, used.length, ...used, ...args);
  }
}

/** A tenant's name has no vertical bar. */
export function receiverField(tenant: string, endpoint: string): string {
  return `${tenant}|${endpoint}`;
}

/** Without receivers whose latest attempt is older than the TTL of the hash. */
async function readFailingReceivers(redis: Redis, keys: Keys): Promise<FailingReceiver[]> {
  const fields = await redis.hgetall(keys.failingReceivers);
  const since = Date.now() - RECEIVERS_TTL_SECONDS * 1000;
  return Object.entries(fields)
    .map(([receiver, json]) => {
      const [tenant = '', endpoint = ''] = receiver.split('|');
      const note = JSON.parse(json) as Omit<FailingReceiver, 'tenant' | 'endpoint'>;
      return { tenant, endpoint, ...note };
    })
    .filter(({ at }) => at >= since);
}

/** Removes the id of a deleted check. */
export async function forgetFailure(redis: Redis, keys: Keys, id: string): Promise<void> {
  await redis.eval(FORGET_FAILURE, 1, keys.failures, id);
}
