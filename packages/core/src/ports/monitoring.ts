import type {
  FailingReceiver,
  FailureNote,
  ProcessSample,
  ReceivedSample,
  ReceiverAttempt,
  Tally,
  TallyPeriod,
} from '../domain/operation/monitoring.js';

/** The samples that were read, and where the next read goes on. */
export interface SamplePage {
  samples: ReceivedSample[];
  /** For the next call of `readSamples`. */
  cursor: string;
  /** The clock of the store, in milliseconds since the epoch. */
  now: number;
}

/** What all processes of an installation say about themselves, for the operators' console. */
export interface Monitoring {
  /** Publishes both; if it rejects, perhaps neither. */
  publish(sample: ProcessSample, tallies: Tally[]): Promise<void>;
  /** Oldest first: the kept samples, or those after a cursor. */
  readSamples(cursor?: string): Promise<SamplePage>;
  /** The tallies of each period; its number is its start divided by the period's length. */
  readTallies(period: TallyPeriod, numbers: number[]): Promise<Tally[][]>;
  /** With `isCheck`, the request became a check of this id; it is not noted if that was deleted. */
  noteFailure(failure: { code: string; id: string; isCheck: boolean }): Promise<void>;
  /** The latest ten requests of each code, of the last day. */
  readFailures(): Promise<FailureNote[]>;
  /** Counts the failed attempts in a row; a success ends the row. */
  noteAttempt(attempt: ReceiverAttempt): Promise<void>;
  readFailingReceivers(): Promise<FailingReceiver[]>;
}
