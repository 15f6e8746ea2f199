/**
 * How a check ended: its score in hundredths, or an error code. A caller, a reader of the job and a
 * webhook must all see the same.
 */
export type Ending = number | string;

/** What happened in a history. `at` is in milliseconds of the history's clock. */
export type HistoryEvent = { at: number } & (
  | Sent
  | Answered
  /** The connection ended without an answer. */
  | { kind: 'lost'; call: number }
  /** The caller ended the connection, and saw no answer. */
  | { kind: 'hung up'; call: number }
  | Read
  /** A caller asks for the end of a check. */
  | { kind: 'asked'; what: 'cancel' | 'delete'; id: string }
  /** The product has answered that it did so. */
  | { kind: 'done'; what: 'cancel' | 'delete'; id: string }
  /** A webhook arrived at its receiver. */
  | { kind: 'notified'; id: string; ending: Ending }
  /** What is left after the traffic has stopped, and must not be. */
  | { kind: 'left'; what: string; count: number }
);

/** A request for a check. */
export interface Sent {
  kind: 'sent';
  /** Identifies the request within its history. */
  call: number;
  tenant: string;
  /** Decides how the check must end. */
  image: number;
  key?: string;
  /** How long the caller waits at most. */
  limitMs: number;
}

export interface Answered {
  kind: 'answered';
  call: number;
  /** The HTTP status. */
  status: number;
  /** The check of an accepted request. */
  id?: string;
  /** Set when the answer says how the check ended. */
  ending?: Ending;
  /** The `error_code` of a refusal. */
  error?: string;
  /** Whether the body is JSON as documented: a verdict, a job or an error. */
  isDocumented: boolean;
}

/** A caller reads the job. */
export interface Read {
  kind: 'read';
  id: string;
  /** When the reader sent its request. */
  from: number;
  /** `gone` for 404. */
  status: 'queued' | 'processing' | 'succeeded' | 'failed' | 'canceled' | 'gone';
  ending?: Ending;
}

/** An event without its time, as it is recorded. */
export type Fact<Event = HistoryEvent> = Event extends HistoryEvent ? Omit<Event, 'at'> : never;

export interface History {
  events: HistoryEvent[];
  record(fact: Fact): void;
  nextCall(): number;
}

/** Collects the events of one history in order. */
export function createHistory(now: () => number): History {
  const events: HistoryEvent[] = [];
  let calls = 0;
  return {
    events,
    record: (fact) => void events.push({ at: now(), ...fact } as HistoryEvent),
    nextCall: () => calls++,
  };
}
