import { runUntilShutdown } from '@livegate/core/shutdown';

await runUntilShutdown(async (shutdown) => {
  const { startGateway } = await import('./gateway/start-gateway.js');
  await startGateway(process.env, shutdown);
});
