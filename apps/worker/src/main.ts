import { runUntilShutdown } from '@livegate/core/shutdown';

// Without a handler, the signal would end the process. `startWorker` adds the one that reloads the
// models: until then, none are loaded.
process.on('SIGHUP', () => undefined);

await runUntilShutdown(async (shutdown) => {
  const { startWorker } = await import('./start-worker.js');
  await startWorker(process.env, shutdown);
});
