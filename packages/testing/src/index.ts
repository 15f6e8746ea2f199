export type { CreatePort, OpenedPort } from './contracts/open-port.js';
export * from './contracts/port-contracts.js';
export * from './contracts/queue-contract.js';
export * from './contracts/reply-contract.js';
export * from './contracts/webhook-contracts.js';
export * from './examples.js';
export * from './fakes/port-fakes.js';
export * from './fakes/webhook-fakes.js';
export * from './webhook-examples.js';
