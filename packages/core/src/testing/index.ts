export * from './examples.js';
export * from './fakes.js';
export * from './port-contracts.js';
