// The entry of an engine's thread.
import { parentPort, workerData } from 'node:worker_threads';
import type { EngineSpec } from './open-engine.js';
import { serveEngine } from './serve-engine.js';

await serveEngine(parentPort!, workerData as EngineSpec);
