export { followFile } from './follow-file.js';
export { limitFullCollections } from './limit-full-collections.js';
export { limitTime, untilAborted } from './limit-time.js';
export {
  type ConfigRule,
  findConfigProblems,
  fraction,
  integer,
  MAX_SETTING_MS,
  milliseconds,
  parsedBy,
  readConfig,
  refuseConfig,
  sharedConfig,
} from './read-config.js';
export { createReplyWaiters } from './reply-waiters.js';
