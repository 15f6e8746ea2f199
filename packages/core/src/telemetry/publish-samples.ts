import { setTimeout as sleep } from 'node:timers/promises';
import { type ProcessSample, SAMPLE_MS, type Tallies } from '../domain/operation/monitoring.js';
import type { Monitoring } from '../ports.js';
import type { Log } from './log.js';
import type { Measurements } from './measurements.js';

/** Time limit of the last sample, at the shutdown. */
const LAST_SAMPLE_MS = 1000;
/** Ids of one error code are noted at most this often: a flood of refusals must not reach Redis. */
const NOTE_MS = 1000;

export interface PublishOptions {
  monitoring: Pick<Monitoring, 'publish'>;
  /** The process, and the facts that metrics cannot contain. */
  describe(): Omit<ProcessSample, 'uptimeMs' | 'values' | 'distributions'>;
  measure(): Promise<Measurements>;
  /** Of a worker. */
  tallies?: Tallies;
  log: Log;
}

/** Publishes a sample of this process every five seconds, and a last one when it is closed. */
export function startPublishing(options: PublishOptions) {
  const { monitoring, describe, measure, tallies, log } = options;
  // Commands of a worker wait for Redis: without this, they would pile up during an outage.
  let current: Promise<void> | undefined;
  const timer = setInterval(() => void publish(), SAMPLE_MS);
  void publish();

  return {
    async close() {
      clearInterval(timer);
      const last = async () => {
        await current;
        await publish({ isLast: true });
      };
      await Promise.race([last(), sleep(LAST_SAMPLE_MS, undefined, { ref: false })]);
    },
  };

  function publish(more: Pick<ProcessSample, 'isLast'> = {}): Promise<void> {
    current ??= send(more).finally(() => (current = undefined));
    return current;
  }

  async function send(more: Pick<ProcessSample, 'isLast'>): Promise<void> {
    const taken = tallies?.take() ?? [];
    try {
      const measured = { uptimeMs: Math.round(process.uptime() * 1000), ...(await measure()) };
      await monitoring.publish({ ...describe(), ...measured, ...more }, taken);
    } catch (error) {
      // A command that timed out may still have been run: these checks then count twice.
      tallies?.restore(taken);
      log.debug({ err: error }, 'sample not published');
    }
  }
}

/** Notes ids of failed requests for the operators, one of each error code in a second. */
export function createNoteFailure(monitoring: Pick<Monitoring, 'noteFailure'>, log: Log) {
  const notedAt = new Map<string, number>();

  return (failure: Parameters<Monitoring['noteFailure']>[0]): void => {
    const now = performance.now();
    if (now - (notedAt.get(failure.code) ?? Number.NEGATIVE_INFINITY) < NOTE_MS) return;
    notedAt.set(failure.code, now);
    monitoring
      .noteFailure(failure)
      .catch((error: unknown) => log.debug({ err: error }, 'failure not noted'));
  };
}
