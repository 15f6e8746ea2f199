import { LivegateError } from '@livegate/core/domain';
import type * as fc from 'fast-check';

/** A process of the product, which may die between any two of its calls. */
export interface Process {
  name: string;
  isDead(): boolean;
  /** Resolves at its death. */
  died: Promise<void>;
  diedAt(): number | undefined;
  die(): void;
}

export function createProcess(name: string): Process {
  let diedAt: number | undefined;
  let resolve = () => {};
  const died = new Promise<void>((settle) => (resolve = settle));
  const die = () => {
    diedAt ??= performance.now();
    resolve();
  };
  return { name, isDead: () => diedAt !== undefined, diedAt: () => diedAt, died, die };
}

/**
 * What happens to one call of a port. `refused`: it fails without an effect. `unanswered`: it has its
 * effect and fails. `slow`: its effect comes late, and so does that of every later call on the same
 * connection. `dies before`, `dies after`: the caller's process dies, without or with the effect.
 */
export type CallFault = 'refused' | 'unanswered' | 'slow' | 'dies before' | 'dies after';

export interface PlannedFault {
  /** Counts the calls of all processes. */
  nth: number;
  fault: CallFault;
  /** Of a slow call. */
  ms: number;
}

/** A connection: its commands have their effects in the order in which they were sent. */
interface Connection {
  last: Promise<unknown>;
  slow: number;
}

export interface LinkOptions {
  process: Process;
  /** A gateway does not wait longer for an answer; a worker waits. */
  limitMs?: number;
  connection?: Connection;
}

export const openConnection = (): Connection => ({ last: Promise.resolve(), slow: 0 });

const never = new Promise<never>(() => {});
const unavailable = (detail: string) => new LivegateError('unavailable', { detail });

/** Orders the calls of all processes by the scheduler, and lets the planned ones fail. */
export function createNetwork(scheduler: fc.Scheduler, planned: PlannedFault[]) {
  const faults = new Map(planned.map((fault) => [fault.nth, fault]));
  let calls = 0;
  let isCalm = false;
  let fired = 0;
  let late = 0;

  return {
    link,
    /** From now on nothing fails. */
    calm: () => void (isCalm = true),
    /** How many planned faults have happened. */
    fired: () => fired,
    calls: () => calls,
    /** How many calls still wait for their late effects. */
    late: () => late,
  };

  /** The port as the process reaches it. */
  function link<Port extends object>(port: Port, options: LinkOptions): Port {
    const connection = options.connection ?? openConnection();
    const methods = Object.entries(port).map(([name, method]) => [
      name,
      typeof method === 'function'
        ? (...args: unknown[]) =>
            send(`${options.process.name}: ${name}`, {
              ...options,
              connection,
              effect: () => (method as (...given: unknown[]) => unknown)(...args),
            })
        : method,
    ]);
    return Object.fromEntries(methods) as Port;
  }

  async function send(label: string, call: Call): Promise<unknown> {
    const { connection, process, limitMs } = call;
    if (process.isDead()) return never;
    const fault = isCalm ? undefined : faults.get(calls++);
    if (fault) fired += 1;
    if (fault?.fault === 'slow') connection.slow += 1;
    const work = arrive(label, call, fault);
    return limitMs !== undefined && connection.slow > 0 ? limit(limitMs, work) : work;
  }

  async function arrive(label: string, call: Call, fault: PlannedFault | undefined) {
    const { connection, process, effect } = call;
    const before = connection.last;
    let done = () => {};
    connection.last = new Promise<void>((resolve) => (done = resolve));
    await before;
    await scheduler.schedule(Promise.resolve(), label);
    if (fault?.fault === 'slow') {
      late += 1;
      await new Promise((resolve) => setTimeout(resolve, fault.ms));
      late -= 1;
      connection.slow -= 1;
    }
    if (fault?.fault === 'dies before') process.die();
    if (process.isDead()) return never;
    try {
      if (fault?.fault === 'refused') throw unavailable('refused');
      const answer = await effect();
      if (fault?.fault === 'dies after') process.die();
      if (process.isDead()) return await never;
      if (fault?.fault === 'unanswered') throw unavailable('unanswered');
      return answer;
    } finally {
      done();
    }
  }
}

export type Network = ReturnType<typeof createNetwork>;

interface Call extends LinkOptions {
  connection: Connection;
  effect(): unknown;
}

function limit<Result>(ms: number, work: Promise<Result>): Promise<Result> {
  work.catch(() => undefined);
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(unavailable('no answer in time')), ms);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
