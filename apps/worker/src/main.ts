import { runUntilShutdown } from '@livegate/core/shutdown';

await runUntilShutdown(async (shutdown) => {
  const { startWorker } = await import('./start-worker.js');
  await startWorker(process.env, shutdown);
});
