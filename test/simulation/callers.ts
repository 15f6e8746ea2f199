import { type CheckOutcome, isFinished } from '@livegate/core/domain';
import { httpStatusOf } from '../../apps/api/src/contract/present-error.js';
import type { Ending, Fact, History, Read } from '../chaos/history/history.js';
import type { CheckAnswer, SimulatedGateway } from './gateway.js';
import type { PlannedCaller } from './plan.js';

/** An async check is accepted or refused within this. */
const ACCEPT_LIMIT_MS = 5000;

export interface CallersDeps {
  gateways: SimulatedGateway[];
  history: History;
}

/** The callers of a plan, who record what they see. */
export function createCallers({ gateways, history }: CallersDeps) {
  const unfinished = new Set<string>();
  const ids: string[] = [];

  return {
    run,
    unfinished: () => unfinished,
    /** The ids of all requests, accepted or not. */
    ids: () => ids,
    /** Reads every accepted check whose end nobody has read. */
    async readUnfinished(gateway: SimulatedGateway): Promise<void> {
      for (const id of unfinished) await read(gateway, id);
    },
  };

  async function run(planned: PlannedCaller): Promise<void> {
    await sleep(planned.startMs);
    const gateway = find(planned.gateway);
    if (!gateway) return;
    const hangUp = new AbortController();
    if (planned.next === 'hang up') void sleep(planned.nextMs).then(() => hangUp.abort());
    const id = await check(gateway, planned, hangUp.signal);
    if (planned.next === 'repeat') {
      const other = find(1 - planned.gateway);
      if (other) await check(other, planned, new AbortController().signal);
    }
    if (id === undefined) return;
    await sleep(planned.nextMs);
    if (planned.next === 'poll') await read(gateway, id);
    if (planned.next === 'cancel' || planned.next === 'delete')
      await end(gateway, planned.next, id);
  }

  /** The gateway with this number, or another one if it is dead, as a load balancer chooses. */
  function find(number: number): SimulatedGateway | undefined {
    const isAlive = ({ process }: SimulatedGateway) => !process.isDead();
    return [gateways[number]!, ...gateways].find(isAlive);
  }

  async function check(
    gateway: SimulatedGateway,
    { tenant, image, key, waitMs }: PlannedCaller,
    closed: AbortSignal,
  ): Promise<string | undefined> {
    const call = history.nextCall();
    const id = `00000000-0000-7000-8000-${String(ids.length).padStart(12, '0')}`;
    ids.push(id);
    const limitMs = waitMs || ACCEPT_LIMIT_MS;
    const facts = { call, tenant, image, limitMs, ...(key !== undefined && { key }) };
    history.record({ kind: 'sent', ...facts });
    const request = { id, tenant, image, waitMs, closed, ...(key !== undefined && { key }) };
    const answer = await during(gateway, gateway.check(request));
    if (!answer) {
      history.record({ kind: 'lost', call });
      return undefined;
    }
    // Nobody sees the answer to a caller who has hung up.
    if (closed.aborted) {
      history.record({ kind: 'hung up', call });
      return undefined;
    }
    const described = describeAnswer(call, answer);
    history.record(described);
    if (described.id === undefined) return undefined;
    unfinished.add(described.id);
    return described.id;
  }

  async function read(gateway: SimulatedGateway, id: string): Promise<void> {
    const from = performance.now();
    const record = await during(
      gateway,
      gateway.read(id).catch(() => 'failed' as const),
    );
    if (record === 'failed' || (record === undefined && gateway.process.isDead())) return;
    const status: Read['status'] = record?.status ?? 'gone';
    const ending = record?.outcome && toEnding(record.outcome);
    history.record({ kind: 'read', id, from, status, ...(ending !== undefined && { ending }) });
    if (status === 'gone' || isFinished(status)) unfinished.delete(id);
  }

  async function end(
    gateway: SimulatedGateway,
    what: 'cancel' | 'delete',
    id: string,
  ): Promise<void> {
    history.record({ kind: 'asked', what, id });
    const isDone = await during(
      gateway,
      gateway[what](id).catch(() => false),
    );
    if (isDone) history.record({ kind: 'done', what, id });
  }
}

/** `undefined` if the gateway dies meanwhile. */
function during<Result>(
  { process }: SimulatedGateway,
  work: Promise<Result>,
): Promise<Result | undefined> {
  return Promise.race([work, process.died.then(() => undefined)]);
}

function describeAnswer(call: number, answer: CheckAnswer): Extract<Fact, { kind: 'answered' }> {
  const common = { kind: 'answered', call, isDocumented: true } as const;
  const { id, outcome, isTimeout, error } = answer;
  if (error || id === undefined)
    return { ...common, status: httpStatusOf(error!.code), error: error!.code };
  if (!outcome) return { ...common, status: isTimeout ? 504 : 202, id };
  const status = 'error' in outcome ? httpStatusOf(outcome.error) : 200;
  return { ...common, status, id, ending: toEnding(outcome) };
}

function toEnding(outcome: CheckOutcome): Ending {
  if ('error' in outcome) return outcome.error;
  const { verdict } = outcome.result;
  return verdict.kind === 'scored' ? Math.round(100 * verdict.spoofProbability) : verdict.kind;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
