import type { Answered, Ending, HistoryEvent, Read } from './history.js';

/** What a history may contain. Without an exception, every promise holds. */
export interface Promises {
  /** How a check of this image must end. */
  endingOf(image: number): Ending;
  /** Other endings that the faults of the history excuse. */
  alsoEndsAs?: Ending[];
  /** Whether the tenant has a webhook endpoint. */
  isNotified(tenant: string): boolean;
  /** How much later than its limit an answer may arrive. */
  graceMs: number;
  /** How long after a deletion an attempt that had begun before may still arrive. */
  attemptMs: number;
  /** Whether a request that was sent or cut off at this time may get no answer, or a late one. */
  mayLose?(at: number): boolean;
  /** Whether a check that was accepted at this time may be forgotten. */
  mayForget?(acceptedAt: number): boolean;
}

type Of<Kind extends HistoryEvent['kind']> = Extract<HistoryEvent, { kind: Kind }>;
/** Statuses that leave the caller with a check, which must end. */
const ACCEPTED = new Set([200, 202, 409, 504]);
/** All others of a sound request are a fault of ours. */
const REFUSED = new Set([422, 429, 503]);
const FINAL = new Set<Read['status']>(['succeeded', 'failed', 'canceled']);

/** Everything that the history shows of one accepted check. */
interface SeenCheck {
  id: string;
  calls: (Of<'sent'> & { answer: Of<'answered'> })[];
  reads: Of<'read'>[];
  notified: Of<'notified'>[];
  asked: Of<'asked'>[];
  done: Of<'done'>[];
}

/** Every way in which the history breaks a promise of the product, as a sentence; empty if none. */
export function findViolations(events: HistoryEvent[], promises: Promises): string[] {
  const all = createIndex(events);
  const checks = collectChecks(all);
  return [
    ...all.sent.flatMap((sent) => judgeCall(sent, all, promises)),
    ...checks.flatMap((check) => judgeCheck(check, promises)),
    ...judgeKeys(checks),
    ...all.left.filter(({ count }) => count > 0).map(({ what, count }) => `${count} ${what} left`),
  ];
}

interface Index {
  sent: Of<'sent'>[];
  left: Of<'left'>[];
  answers: Map<number, Of<'answered'>>;
  losses: Map<number, Of<'lost'>>;
  hungUp: Set<number>;
  byId: { [Kind in 'read' | 'notified' | 'asked' | 'done']: Map<string, Of<Kind>[]> };
}

function createIndex(events: HistoryEvent[]): Index {
  const of = <Kind extends HistoryEvent['kind']>(kind: Kind) =>
    events.filter((event): event is Of<Kind> => event.kind === kind);
  const byId = <Event extends { id: string }>(group: Event[]) => {
    const groups = new Map<string, Event[]>();
    for (const event of group) groups.set(event.id, [...(groups.get(event.id) ?? []), event]);
    return groups;
  };
  return {
    sent: of('sent'),
    // Each count replaces the earlier ones of the same things.
    left: [...new Map(of('left').map((left) => [left.what, left])).values()],
    answers: new Map(of('answered').map((event) => [event.call, event])),
    losses: new Map(of('lost').map((event) => [event.call, event])),
    hungUp: new Set(of('hung up').map(({ call }) => call)),
    byId: {
      read: byId(of('read')),
      notified: byId(of('notified')),
      asked: byId(of('asked')),
      done: byId(of('done')),
    },
  };
}

function collectChecks({ sent, answers, byId }: Index): SeenCheck[] {
  const checks = new Map<string, SeenCheck>();
  for (const call of sent) {
    const answer = answers.get(call.call);
    if (answer?.id === undefined || !isAccepted(answer)) continue;
    const { id } = answer;
    const check = checks.get(id) ?? {
      id,
      calls: [],
      reads: byId.read.get(id) ?? [],
      notified: byId.notified.get(id) ?? [],
      asked: byId.asked.get(id) ?? [],
      done: byId.done.get(id) ?? [],
    };
    check.calls.push({ ...call, answer });
    checks.set(id, check);
  }
  return [...checks.values()];
}

/** A caller gets an answer, or an error as JSON, within its limit. */
function judgeCall(sent: Of<'sent'>, index: Index, promises: Promises): string[] {
  const { answers, losses, hungUp } = index;
  if (hungUp.has(sent.call)) return [];
  const { mayLose = () => false, graceMs } = promises;
  const name = `call ${sent.call}`;
  const answer = answers.get(sent.call);
  const loss = losses.get(sent.call);
  const isExcused = mayLose(sent.at) || (loss !== undefined && mayLose(loss.at));
  if (!answer) return isExcused ? [] : [`${name} got no answer`];
  const waitedMs = Math.round(answer.at - sent.at);
  const isLate = waitedMs > sent.limitMs + graceMs && !isExcused;
  return [
    ...judgeAnswer(name, answer),
    ...(isLate ? [`${name} was answered after ${waitedMs} ms, limit ${sent.limitMs}`] : []),
  ];
}

/** Also a request whose check has ended with a refusal. */
function isAccepted({ status, ending }: Answered): boolean {
  return ACCEPTED.has(status) || ending !== undefined;
}

function judgeAnswer(name: string, answer: Answered): string[] {
  const { status, error, id, isDocumented } = answer;
  if (!isDocumented) return [`${name} got an answer that is not documented (${status})`];
  if (isAccepted(answer)) return id === undefined ? [`${name} got no id (${status})`] : [];
  return REFUSED.has(status) ? [] : [`${name} failed with ${status} ${error}`];
}

/** An accepted check ends exactly once, as its image demands, and all readers see the same end. */
function judgeCheck(check: SeenCheck, promises: Promises): string[] {
  const { mayForget = () => false, endingOf, alsoEndsAs = [] } = promises;
  const { id, calls, reads, asked } = check;
  const images = new Set(calls.map(({ image }) => image));
  const owners = new Set(calls.map(({ tenant }) => tenant));
  if (images.size > 1) return [`${id} answers for two images`];
  if (owners.size > 1) return [`${id} belongs to two tenants`];
  const { image } = calls[0]!;
  const isDeleted = asked.some(({ what }) => what === 'delete');
  const isCanceled = asked.some(({ what }) => what === 'cancel');
  const acceptedAt = Math.min(...calls.map(({ answer }) => answer.at));
  const isForgotten = !isDeleted && reads.at(-1)?.status === 'gone' && mayForget(acceptedAt);

  const endings = new Set(listEndings(check));
  const allowed: Ending[] = [endingOf(image), ...alsoEndsAs];
  if (isCanceled || isDeleted || isForgotten) allowed.push('canceled');
  const wrong = [...endings].filter((ending) => !allowed.includes(ending));
  // A caller who waits for a check that is deleted is told that it is canceled.
  const mayDiffer = isDeleted || isForgotten;
  return [
    ...wrong.map((ending) => `${id} ended as ${ending}, expected ${allowed.join(' or ')}`),
    ...(endings.size > 1 && !mayDiffer ? [`${id} ended as ${[...endings].join(' and as ')}`] : []),
    ...judgeReads(check, { isDeleted, isForgotten }),
    ...judgeCancel(check, isDeleted),
    ...judgeNotice(check, { isExcused: isDeleted || isForgotten, promises }),
    ...judgeDeletion(check, promises),
  ];
}

function listEndings({ calls, reads, notified }: SeenCheck): Ending[] {
  return [...calls.map(({ answer }) => answer), ...reads, ...notified].flatMap(({ ending }) =>
    ending === undefined ? [] : [ending],
  );
}

function judgeReads(
  { id, reads }: SeenCheck,
  { isDeleted, isForgotten }: { isDeleted: boolean; isForgotten: boolean },
): string[] {
  const inOrder = reads.toSorted((a, b) => a.from - b.from);
  const found: string[] = [];
  for (const [i, read] of inOrder.entries()) {
    const earlier = inOrder.slice(0, i).find(({ at, status }) => at < read.from && isFinal(status));
    const isGone = read.status === 'gone';
    if (isGone && !isDeleted && !isForgotten) found.push(`${id} is gone and was not deleted`);
    if (earlier && !isGone && read.status !== earlier.status)
      found.push(`${id} was ${earlier.status} and then ${read.status}`);
  }
  const last = inOrder.at(-1)?.status;
  if (last === undefined || !(isFinal(last) || last === 'gone'))
    found.push(`${id} has not ended: ${last ?? 'never read'}`);
  return [...new Set(found)];
}

function judgeCancel({ id, reads, done }: SeenCheck, isDeleted: boolean): string[] {
  const isCanceled = done.some(({ what }) => what === 'cancel');
  const last = reads.at(-1)?.status;
  if (!isCanceled || isDeleted || !last || !isFinal(last)) return [];
  return last === 'canceled' ? [] : [`${id} was canceled and ended as ${last}`];
}

/** Webhooks arrive at least once. */
function judgeNotice(
  { id, calls, reads, notified }: SeenCheck,
  { isExcused, promises }: { isExcused: boolean; promises: Promises },
): string[] {
  const isDue = promises.isNotified(calls[0]!.tenant) && isFinal(reads.at(-1)?.status ?? 'queued');
  return isDue && !isExcused && notified.length === 0 ? [`${id} ended without a webhook`] : [];
}

/** Deleted means gone, for readers and for receivers. */
function judgeDeletion({ id, reads, notified, done }: SeenCheck, { attemptMs }: Promises) {
  const deletion = done.find(({ what }) => what === 'delete');
  if (!deletion) return [];
  const seen = reads.filter(({ from, status }) => from > deletion.at && status !== 'gone');
  const late = notified.filter(({ at }) => at > deletion.at + attemptMs);
  return [
    ...(seen.length > 0 ? [`${id} was deleted and is still ${seen[0]!.status}`] : []),
    ...(late.length > 0 ? [`${id} was deleted and is still announced`] : []),
  ];
}

/** A key belongs to one check, until that ends without a verdict or is deleted. */
function judgeKeys(checks: SeenCheck[]): string[] {
  const holders = new Map<string, SeenCheck[]>();
  for (const check of checks) {
    const { tenant, key } = check.calls.find((call) => call.key !== undefined) ?? {};
    if (key === undefined) continue;
    const name = `${tenant}/${key}`;
    holders.set(name, [...(holders.get(name) ?? []), check]);
  }
  return [...holders].flatMap(([name, held]) => {
    const lasting = held.filter((check) => check.asked.length === 0 && !hasFailed(check));
    const ids = lasting.map(({ id }) => id).join(', ');
    return lasting.length > 1 ? [`key ${name} belongs to ${ids}`] : [];
  });
}

function hasFailed(check: SeenCheck): boolean {
  return listEndings(check).some((ending) => typeof ending === 'string');
}

function isFinal(status: Read['status']): boolean {
  return FINAL.has(status);
}
