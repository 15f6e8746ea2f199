export * from './domain/check.js';
export * from './domain/errors.js';
export * from './domain/image-rules.js';
export * from './domain/models.js';
export * from './domain/verdict.js';
