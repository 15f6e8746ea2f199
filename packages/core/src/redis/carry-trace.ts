/**
 * Where a job carries the identity of who sent it: BullMQ's own place for that, which it keeps over
 * retries, and not the job's data, which is not about traces.
 *
 * BullMQ's own spans are off: they hold a job's result, which is a person's score.
 */
export function withCarrier(carrier: string | undefined) {
  return carrier === undefined ? {} : { telemetry: { metadata: carrier } };
}
