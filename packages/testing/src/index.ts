export * from './examples.js';
export * from './fakes.js';
export * from './port-contracts.js';
export * from './queue-contract.js';
export * from './reply-contract.js';
export type { Create, Subject } from './subject.js';
export * from './webhook-contracts.js';
export * from './webhook-examples.js';
export * from './webhook-fakes.js';
