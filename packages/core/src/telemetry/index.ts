export * from './carrier.js';
export * from './count-jobs.js';
export * from './instruments.js';
export * from './messages.js';
export * from './spans.js';
export * from './start-telemetry.js';
export * from './telemetry-rules.js';
