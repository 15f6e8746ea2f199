import { randomUUID } from 'node:crypto';
import type { CheckOutcome } from '@livegate/core/domain';
import type { Cancellations, CheckQueue } from '@livegate/core/ports';
import { exampleJob } from '../examples.js';
import { type CreatePort, openPort } from './open-port.js';

/** A queue, with methods that take and end a check as a worker does. */
export interface WorkableQueue extends CheckQueue, Cancellations {
  takeNext(): Promise<string | undefined> | string | undefined;
  begin(id: string): Promise<void> | void;
  /** Ends an attempt by a fault of ours; the next attempt may start at once. */
  retry(id: string): Promise<void> | void;
  /** Requeues the check that was taken last, with a delay. */
  delay(id: string): Promise<void> | void;
  finish(id: string, outcome: CheckOutcome): Promise<void> | void;
}

export async function openWithCheck(create: CreatePort<WorkableQueue>) {
  const queue = await openPort(create);
  const id = randomUUID();
  await queue.add(id, exampleJob);
  return { queue, id };
}
