import type { Finding, MixShift, Snapshot } from './snapshot.js';

/** Commands of a healthy Redis in the same network take about a millisecond. */
const SLOW_REDIS_MS = 50;
/** Redis refuses writes at 100 %; the alert LivegateRedisFills warns earlier. */
const FULL_SHARE = 0.9;
/** Above the default of LIVEGATE_MAX_QUEUE_WAIT_MS, below that of LIVEGATE_WAIT_LIMIT_MS (25 s). */
const LONG_QUEUE_SECONDS = 10;
/** Three times the default of LIVEGATE_MAX_ASYNC_WAIT_MS: waiting callers delay async checks. */
const OLD_ASYNC_SECONDS = 90;
/** The limit of the alert LivegateEngineHangs. */
const HANGING_SECONDS = 30;
/** From this share of the requests on, one tenant counts as the cause of a full queue. */
const FLOOD_SHARE = 0.6;
/** One failed attempt may be chance. */
const FAILED_ATTEMPTS = 2;
/** A share that rose by half, where chance alone does so once in 30,000 times (z = 4). */
const HIGH_RATIO = 1.5;
const HIGH_Z = 4;

type Facts = Omit<Snapshot, 'findings'>;

/** What needs attention, the most urgent first. */
export function listFindings(facts: Facts): Finding[] {
  if (!facts.redis.isReachable) return [redisAway];
  const found = [
    ...listRedisFindings(facts),
    ...listProcessFindings(facts),
    ...listLoadFindings(facts),
    ...listFaultFindings(facts),
    ...listReceiverFindings(facts),
    ...listShiftFindings(facts),
  ];
  return [...bySeverity(found, 'critical'), ...bySeverity(found, 'warning')];
}

function bySeverity(found: Finding[], wanted: Finding['severity']): Finding[] {
  return found.filter(({ severity }) => severity === wanted);
}

const redisAway: Finding = {
  id: 'redis-unreachable',
  severity: 'critical',
  text: 'Redis does not answer this gateway. No check is taken, and what this page shows is old.',
  runbook: 'livegatenotready',
};

function listRedisFindings({ redis }: Facts): Finding[] {
  return redis.servers.flatMap((server) => {
    const { name, isReachable, isPersisting, usedBytes, limitBytes, answerMs } = server;
    const found: Finding[] = [];
    if (!isReachable) {
      found.push({
        id: `redis-away-${name}`,
        severity: 'critical',
        text: `The Redis for ${name} does not answer this gateway. No check is taken.`,
        runbook: 'livegatenotready',
      });
    }
    if (!isPersisting) {
      found.push({
        id: `redis-disk-${name}`,
        severity: 'critical',
        text: `The Redis for ${name} cannot write to its disk, which is probably full. It refuses new checks.`,
        runbook: 'livegateredisdiskfails',
      });
    }
    if (limitBytes > 0 && usedBytes / limitBytes > FULL_SHARE) {
      found.push({
        id: `redis-memory-${name}`,
        severity: 'critical',
        text: `The memory of the Redis for ${name} is ${percent(usedBytes / limitBytes)} full. At its limit it refuses new checks.`,
        runbook: 'livegateredisfills',
      });
    }
    if (answerMs > SLOW_REDIS_MS) {
      found.push({
        id: `redis-slow-${name}`,
        severity: 'warning',
        text: `The Redis for ${name} takes ${Math.round(answerMs)} ms to answer, instead of one or two. Every check needs several answers.`,
        runbook: 'livegateredisslow',
      });
    }
    return found;
  });
}

function listProcessFindings({ workers, gateways }: Facts): Finding[] {
  const alive = workers.filter(({ isSilent }) => !isSilent);
  const silent = [
    ...workers.filter(({ isSilent }) => isSilent).map((process) => ['Worker', process] as const),
    ...gateways.filter(({ isSilent }) => isSilent).map((process) => ['Gateway', process] as const),
  ];
  const found = silent.map(([kind, { id, silentSeconds }]): Finding => {
    return {
      id: `silent-${id}`,
      severity: kind === 'Worker' && alive.length === 0 ? 'critical' : 'warning',
      text: `${kind} ${id} has not reported for ${Math.round(silentSeconds)} s, and did not say that it stops.`,
      runbook: 'a-process-is-silent',
    };
  });
  if (alive.length === 0) {
    found.unshift({
      id: 'no-worker',
      severity: 'critical',
      text: 'No worker is alive. Every check is refused.',
      runbook: 'livegatenotready',
    });
  }
  for (const { id, runAgeSeconds, auditFailures } of alive) {
    if (runAgeSeconds > HANGING_SECONDS) {
      found.push({
        id: `engine-${id}`,
        severity: 'critical',
        text: `An engine of worker ${id} has been in one run for ${Math.round(runAgeSeconds)} s. It hangs.`,
        runbook: 'livegateenginehangs',
      });
    }
    if (auditFailures > 0) {
      found.push({
        id: `audit-${id}`,
        severity: 'critical',
        text: `Worker ${id} could not write ${auditFailures} audit records. Its disk may be full.`,
        runbook: 'livegateauditfails',
      });
    }
  }
  return found;
}

function listLoadFindings({ queue, rates, tenants }: Facts): Finding[] {
  const found: Finding[] = [];
  const { secondsOfWork = 0, oldestAgeSeconds, oldestAsyncAgeSeconds, waiting } = queue;
  const isLong =
    Math.max(secondsOfWork, oldestAgeSeconds) > LONG_QUEUE_SECONDS ||
    oldestAsyncAgeSeconds > OLD_ASYNC_SECONDS;
  const oldest = Math.round(Math.max(oldestAgeSeconds, oldestAsyncAgeSeconds));
  const [first, ...others] = tenants;
  if ((isLong || rates.refused > 0) && first && others.length > 0 && first.share > FLOOD_SHARE) {
    found.push({
      id: `flood-${first.tenant}`,
      severity: 'warning',
      text: `Tenant ${first.tenant} sends ${percent(first.share)} of the checks, ${rate(first.perSecond)}, while checks wait or are refused.`,
      runbook: 'a-tenant-floods',
    });
  }
  if (isLong) {
    found.push({
      id: 'queue-long',
      severity: 'warning',
      text: `${waiting} checks wait, the oldest for ${oldest} s. They arrive faster than the workers take them.`,
      runbook: 'livegatequeuegrows',
    });
  }
  if (rates.refused > 0) {
    found.push({
      id: 'refusing',
      severity: 'warning',
      text: `${rate(rates.refused)} are refused: see the codes under "Failures".`,
      runbook: 'livegaterefusing',
    });
  }
  return found;
}

function listFaultFindings({ rates }: Facts): Finding[] {
  if (rates.failed === 0) return [];
  return [
    {
      id: 'faults',
      severity: 'warning',
      text: `${rate(rates.failed)} end with a fault of the service: see "Failures" for codes and request ids.`,
      runbook: 'livegateservererrors',
    },
  ];
}

function listReceiverFindings({ webhooks }: Facts): Finding[] {
  return webhooks.failing
    .filter(({ failures }) => failures >= FAILED_ATTEMPTS)
    .map(({ tenant, endpoint, failures, outcome }) => ({
      id: `receiver-${tenant}-${endpoint}`,
      severity: 'warning',
      text: `The webhook receiver ${endpoint} of tenant ${tenant} is down: ${failures} attempts in a row failed, the latest with ${outcome === 'no_answer' ? 'no answer' : outcome}.`,
      runbook: 'livegatewebhooksfail',
    }));
}

function listShiftFindings({ tenants, scores }: Facts): Finding[] {
  const found = tenants.flatMap(({ tenant, shift }): Finding[] => {
    if (!shift || !hasRisen(shift)) return [];
    const { recent, reference, risenCode } = shift;
    const code = risenCode
      ? ` The quality code ${risenCode.code} rose from ${percent(risenCode.reference)} to ${percent(risenCode.recent)}.`
      : '';
    return [
      {
        id: `high-${tenant}`,
        severity: 'warning',
        text: `Tenant ${tenant} gets HIGH for ${percent(shareOf(recent))} of its checks in the last half hour, ${percent(shareOf(reference))} in the week before.${code}`,
        runbook: 'livegateverdictsshift',
      },
    ];
  });
  if (scores.index !== undefined && scores.index >= scores.limit) {
    found.push({
      id: 'score-shift',
      severity: 'warning',
      text: `The scores of the last hour are distributed differently than in the last week (stability index ${scores.index.toFixed(2)}, limit ${scores.limit}).`,
      runbook: 'livegatescoresshift',
    });
  }
  return found;
}

const shareOf = ({ checks, high }: MixShift['recent']) => high / checks;

/** A test of two proportions; a reference without a HIGH counts as half of one. */
function hasRisen({ recent, reference }: MixShift): boolean {
  const before = Math.max(reference.high, 0.5) / reference.checks;
  const all = (recent.high + reference.high) / (recent.checks + reference.checks);
  const deviation = Math.sqrt(all * (1 - all) * (1 / recent.checks + 1 / reference.checks));
  const rise = shareOf(recent) - before;
  return shareOf(recent) >= HIGH_RATIO * before && rise > 0 && rise >= HIGH_Z * deviation;
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

function rate(perSecond: number): string {
  return perSecond >= 1
    ? `${Math.round(perSecond)} requests a second`
    : `${Math.max(1, Math.round(perSecond * 60))} requests a minute`;
}
