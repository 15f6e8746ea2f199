import { rm } from 'node:fs/promises';
import { createKeys } from '@livegate/core/redis';
import { writeTinyModels } from '@livegate/testing/models/tiny-pipeline';
import {
  createEnv,
  readCollectedUsage,
  startWatchedApp,
  untilReady,
} from '@livegate/testing/product/processes';
import { findKeys, openSandbox } from '@livegate/testing/redis/sandbox';
import { findFreePort } from '../../tools/dev/ports.js';

/**
 * A gateway and a worker as in production. The models are tiny, so that the cores are busy with HTTP
 * and with the real decoder, where hostile bytes arrive, and not with faces.
 */
export async function startProduct() {
  const modelsDir = await writeTinyModels({});
  const scrapePort = await findFreePort();
  const env = createEnv({
    LIVEGATE_MODELS_DIR: modelsDir,
    // All cases come from one address and one tenant.
    LIVEGATE_SESSION_REQUESTS_PER_ADDRESS: '0',
    LIVEGATE_OTHER_REQUESTS_PER_MINUTE: '0',
    LIVEGATE_RESULT_TTL_SECONDS: '600',
  });
  const metrics = {
    OTEL_METRICS_EXPORTER: 'prometheus',
    OTEL_EXPORTER_PROMETHEUS_PORT: `${scrapePort}`,
  };
  const api = startWatchedApp('api', { PORT: '0', ...env, ...metrics });
  const worker = startWatchedApp('worker', env);
  const { address } = (await api.logged('listening')) as { address: { port: number } };
  const url = `http://127.0.0.1:${address.port}`;
  await worker.logged('ready');
  await untilReady(url);
  const sandbox = await openSandbox();
  const keys = createKeys(env['LIVEGATE_KEY_PREFIX'] ?? '');
  const apps = { api, worker };

  return {
    url,
    port: address.port,
    /** Lines of level error, which no input may cause; a warning may be about the input. */
    findErrors: () =>
      Object.entries(apps).flatMap(([app, { log }]) =>
        log.filter((line) => Number(line['level']) >= 50).map((line) => ({ app, ...line })),
      ),
    /** Forgets the lines so far: a long run has millions. */
    forgetLog: () => Object.values(apps).forEach(({ log }) => log.splice(0)),
    /** Ends of processes, which are restarts in production. */
    findCrashes: () =>
      Object.entries(apps).filter(([, { child }]) => child.exitCode ?? child.signalCode),
    async readHeld(): Promise<Record<string, number>> {
      const text = await (await fetch(`http://127.0.0.1:${scrapePort}/metrics`)).text();
      const lines = text.matchAll(/^livegate_lease_held\{.*?kind="(\w+)".*?\} (\d+)/gm);
      return Object.fromEntries([...lines].map(([, kind, held]) => [kind, Number(held)]));
    },
    countImages: async () => (await findKeys(sandbox.redis, keys.image('*'))).length,
    async readMemory() {
      const [ofApi, ofWorker] = await Promise.all([api, worker].map(readCollectedUsage));
      return { api: ofApi!, worker: ofWorker! };
    },
    async stop() {
      const used = await findKeys(sandbox.redis, `${keys.prefix}*`);
      const codes = await Promise.all([api.stop(), worker.stop()]);
      if (used.length > 0) await sandbox.redis.del(used);
      await sandbox.close();
      await rm(modelsDir, { recursive: true });
      return codes;
    },
  };
}

export type FuzzProduct = Awaited<ReturnType<typeof startProduct>>;
