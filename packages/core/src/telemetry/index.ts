export {
  createBatchSizeHistogram,
  createCount,
  createCountRetry,
  createCountRequeue,
  createCountStall,
  createSecondsHistogram,
  getMeter,
} from './instruments.js';
export { createLog, describeError, type Log } from './log.js';
export { mergeDistributions, type Measurements, nameOf } from './measurements.js';
export { createNoteFailure, startPublishing } from './publish-samples.js';
export { startTelemetry, type Telemetry } from './start-telemetry.js';
export {
  continueJobsTrace,
  createTraceProcess,
  describeTrace,
  getTracer,
  markFailed,
  recordSpan,
  runInSpan,
  type TracedJob,
  traceWork,
} from './traces.js';
