export * from './examples.js';
export * from './fakes.js';
export * from './port-contracts.js';
export * from './webhook-contracts.js';
export * from './webhook-examples.js';
export * from './webhook-fakes.js';
