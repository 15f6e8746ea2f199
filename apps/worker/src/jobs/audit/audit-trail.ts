import type { AuditSink } from '@livegate/core/ports';
import { limitTime } from '@livegate/core/runtime';
import type { Log } from '@livegate/core/telemetry';
import { Mutex } from 'async-mutex';
import type { ObserveAudit } from '../../telemetry/observe-audit.js';
import { coalesceLookups } from '../coalesce-lookups.js';
import {
  type AuditKey,
  type AuditPayload,
  type ChainEnd,
  type ChainHead,
  type ChainStart,
  extendChain,
  startChain,
} from './audit-chain.js';
import type { AuditedCheck } from './audited-check.js';

/** How often the head of a growing chain is logged. */
const HEAD_LOG_MS = 60_000;
/** Time limit of the last line at the shutdown. */
const END_MS = 1000;

export interface AuditTrailOptions {
  worker: string;
  key?: AuditKey | undefined;
  /** Whether a check fails when its record cannot be written. */
  isRequired: boolean;
  /** Facts for the first line of each chain. */
  facts: Pick<ChainStart, 'version' | 'models' | 'cut_points'>;
}

export interface AuditTrailDeps {
  openSink(chain: string): Promise<AuditSink>;
  /** The last known lines of earlier chains. */
  findPrevious(): Promise<ChainHead[]>;
  observe: ObserveAudit;
  log: Log;
  /** Milliseconds since the epoch. */
  now?: () => number;
}

/** Writes the records of one worker: one chain a day (UTC). */
export interface AuditTrail {
  /**
   * Resolves when the record is safe. If it cannot be written, rejects with the reason, or, unless
   * records are required, counts it as lost.
   */
  record(check: AuditedCheck): Promise<void>;
  /** Why records cannot be written at present. */
  findProblem(): string | undefined;
  /** Call it after the last record: ends the chain. */
  close(): Promise<void>;
}

/** Opens the first chain. Throws if it cannot be written. */
export async function openAuditTrail(
  options: AuditTrailOptions,
  deps: AuditTrailDeps,
): Promise<AuditTrail> {
  const { observe, log } = deps;
  const chains = createChains(options, deps);
  const append = coalesceLookups<void, AuditedCheck>(appendAll);
  let lost = 0;
  let problem: string | undefined;
  await chains.open();
  chains.logHead();
  const timer = setInterval(chains.logHead, HEAD_LOG_MS).unref();

  return {
    async record(check) {
      try {
        await append(check);
      } catch (error) {
        observe.failed();
        if (options.isRequired) throw error;
        lost += 1;
        log.warn({ requestId: check.id, err: error }, 'audit record lost');
      }
    },
    findProblem: () => problem,
    async close() {
      clearInterval(timer);
      await limitTime(END_MS, chains.close()).catch((error: unknown) => {
        log.warn({ err: error }, 'audit chain not ended');
      });
    },
  };

  /** One write for all checks that ended during the write before. */
  async function appendAll(checks: AuditedCheck[]): Promise<never[]> {
    const [first, ...others] = checks;
    const missed = lost;
    const records = missed > 0 ? [{ ...first!, lost_before: missed }, ...others] : checks;
    try {
      await observe.around(records.length, () => chains.append(records));
    } catch (error) {
      problem = 'the audit cannot be written';
      throw error;
    }
    problem = undefined;
    lost -= missed;
    return [];
  }
}

/** The chain of the day, one after another. */
function createChains(options: AuditTrailOptions, deps: AuditTrailDeps) {
  const { log, now = Date.now } = deps;
  // Two writes at once would link to the same line.
  const mutex = new Mutex();
  let open: Chain | undefined;
  let isClosed = false;
  let loggedHash = '';

  return {
    append: (payloads: AuditPayload[]) =>
      mutex.runExclusive(async () => (await requireToday()).append(payloads)),
    open: () => mutex.runExclusive(requireToday),
    logHead,
    close: () =>
      mutex.runExclusive(async () => {
        isClosed = true;
        await end('worker stopped');
      }),
  };

  async function requireToday(): Promise<Chain> {
    if (isClosed) throw new Error('the audit is closed');
    const time = new Date(now()).toISOString();
    if (open?.day === dayOf(time)) return open;
    await end('new day');
    return (open = await openChain(time, options, deps));
  }

  async function end(reason: ChainEnd['reason']): Promise<void> {
    if (!open) return;
    await open.end({ kind: 'end', time: new Date(now()).toISOString(), reason });
    logHead();
    open = undefined;
  }

  /** Log lines usually leave the machine, so that they show later whether lines were cut off. */
  function logHead(): void {
    const head = open?.head();
    if (!head || head.hash === loggedHash) return;
    loggedHash = head.hash;
    log.info(head, 'audit head');
  }
}

type Chain = Awaited<ReturnType<typeof openChain>>;

/** Writes the first line of a new chain. */
async function openChain(
  time: string,
  { key, worker, facts }: AuditTrailOptions,
  { openSink, findPrevious, log }: AuditTrailDeps,
) {
  const previous = await findPrevious();
  const chain = `${time.replaceAll(':', '-')}_${worker}`;
  const sink = await openSink(chain);
  let head = startChain(chain);
  try {
    await append([{ kind: 'start', format: 1, time, worker, previous, ...facts }]);
  } catch (error) {
    await sink.discard();
    throw error;
  }

  return {
    day: dayOf(time),
    head: () => head,
    append,
    /** A chain that cannot be ended is left without an end: its records are complete all the same. */
    async end(payload: ChainEnd) {
      await append([payload]).catch((error: unknown) => {
        log.warn({ err: error }, 'audit chain not ended');
      });
      await sink.close();
    },
  };

  async function append(payloads: AuditPayload[]): Promise<void> {
    const extended = extendChain(head, payloads, key);
    await sink.append(extended.lines);
    head = extended.head;
  }
}

/** The UTC day of an ISO 8601 time. */
function dayOf(time: string): string {
  return time.slice(0, 'yyyy-mm-dd'.length);
}
