import type { Span } from '@opentelemetry/api';
import type { Credential } from './credentials/credential-file.js';

/** What the middlewares of one request tell each other. */
declare global {
  // oxlint-disable-next-line typescript/no-namespace -- Express has no other way to type it
  namespace Express {
    interface Locals {
      /** The `Request-Id`, which is also the id of the check. */
      requestId: string;
      /** `performance.now()` when the request's head had been read. */
      receivedAt: number;
      /** Of the request, for its log line; probes have none. */
      span?: Span;
      /** Who asks; set by `authenticate`. */
      credential: Credential;
      /** For the log: `verdict`, the status of a job, or an error code. */
      outcome?: string;
      /** For metrics only: a log would keep the class of a check that is deleted. */
      verdict?: string;
      /** For log and telemetry: the caller asked for this end, though its status is 5xx. */
      isCallersChoice?: boolean;
      /** For the log: how long each stage took, in milliseconds. */
      timings?: Record<string, number>;
    }
  }
}
