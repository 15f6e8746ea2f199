import { setTimeout as sleep } from 'node:timers/promises';
import { createKeys } from '@livegate/core/redis';
import { createTinyProfiles, byRed } from '@livegate/testing/models/tiny-profiles';
import { writeCredentials } from '@livegate/testing/product/credentials-file';
import {
  type ApiProcess,
  type AppProcess,
  createEnv,
  type Env,
  startApi,
  startWorker,
  untilReady,
} from '@livegate/testing/product/processes';
import { createTcpProxy, type TcpProxy } from '@livegate/testing/redis/tcp-proxy';
import { developmentCredential } from '../../../apps/api/src/credentials/credential-book.js';
import { findFreePort } from '../../../tools/dev/ports.js';
import type { History } from '../history/history.js';
import type { ChaosRedis } from './chaos-redis.js';
import { startReceiver } from './receiver.js';

/** How long a caller waits that states no limit. */
export const WAIT_LIMIT_MS = 8000;
const ON_THE_WAY_MS = 500;
/** Images outlive each fault, and no test waits for their end. */
const IMAGE_TTL_SECONDS = 120;

/** Lets a test end the engine threads of a worker by SIGUSR2. */
const ENGINE_KILLER = new URL('./kill-engines.mjs', import.meta.url).href;

/** Both are notified of the end of each check. */
export const tenants = ['acme', 'bank'] as const;
export type Tenant = (typeof tenants)[number];

export const headersOf = (tenant: Tenant) => ({
  authorization: `Basic ${btoa(`${tenant}:default-password`)}`,
  'x-api-key': 'default-api-key',
});

export interface Gateway extends ApiProcess {
  /** Where its callers reach it, through `link`. */
  callUrl: string;
  link: TcpProxy;
  metricsUrl: string;
}

/**
 * Two gateways and two workers with tiny models, and a link that can fail between each pair of
 * parts: callers and each gateway, gateways and Redis, workers and Redis, gateways and receiver.
 */
export async function startChaosProduct(redis: ChaosRedis, history: () => History) {
  const credentials = tenants.map((tenant) => ({
    ...developmentCredential,
    tenant,
    username: tenant,
  }));
  const { file, remove: removeFile } = await writeCredentials(credentials);
  const models = await createTinyProfiles({ default: byRed });
  const receiver = await startReceiver((fact) => history().record(fact));
  const links = {
    'gateways to Redis': await createTcpProxy(redis.port),
    'workers to Redis': await createTcpProxy(redis.port),
    'gateways to webhook receiver': await createTcpProxy(receiver.port),
  };
  const env = createEnv({
    LIVEGATE_KEY_PREFIX: redis.prefix,
    LIVEGATE_CREDENTIALS_FILE: file,
    LIVEGATE_MODELS_DIR: models.modelsDir,
    LIVEGATE_WAIT_LIMIT_MS: `${WAIT_LIMIT_MS}`,
    LIVEGATE_REDIS_TIMEOUT_MS: '500',
    LIVEGATE_IMAGE_TTL_SECONDS: `${IMAGE_TTL_SECONDS}`,
    LIVEGATE_WEBHOOK_ALLOWED_ADDRESSES: '127.0.0.1',
    OTEL_METRICS_EXPORTER: 'prometheus',
  });
  const gateways: Gateway[] = [];
  const workers: AppProcess[] = [];

  const product = {
    redis,
    links,
    receiver,
    keys: createKeys(redis.prefix),
    /** Those that get requests, in order of their start. */
    gateways,
    workers,
    async addGateway(change: Env = {}): Promise<Gateway> {
      const port = await findFreePort();
      const started = await startApi({
        ...env,
        REDIS_URL: redis.urlThrough(links['gateways to Redis'].port),
        OTEL_EXPORTER_PROMETHEUS_PORT: `${port}`,
        ...change,
      });
      const link = await createTcpProxy(Number(new URL(started.url).port));
      const callUrl = `http://127.0.0.1:${link.port}`;
      const gateway = { ...started, link, callUrl, metricsUrl: `http://127.0.0.1:${port}/metrics` };
      gateways.push(gateway);
      return gateway;
    },
    async addWorker(change: Env = {}): Promise<AppProcess> {
      const worker = await startWorker({
        ...env,
        OTEL_METRICS_EXPORTER: 'none',
        NODE_OPTIONS: `--import ${ENGINE_KILLER}`,
        REDIS_URL: redis.urlThrough(links['workers to Redis'].port),
        ...change,
      });
      workers.push(worker);
      return worker;
    },
    /** Ends the process and gives it no more requests. */
    async remove(process: AppProcess, signal: NodeJS.Signals): Promise<void> {
      for (const group of [gateways, workers] as AppProcess[][]) {
        const index = group.indexOf(process);
        if (index >= 0) group.splice(index, 1);
      }
      // As a load balancer: the requests on their way arrive first.
      if (signal === 'SIGTERM') await sleep(ON_THE_WAY_MS);
      await process.stop(signal);
    },
    async stop(): Promise<void> {
      const processes: AppProcess[] = [...gateways, ...workers];
      for (const { link } of gateways) link.close();
      for (const { child } of processes) child.kill('SIGCONT');
      await Promise.all(processes.map((process) => process.stop('SIGKILL')));
      for (const link of Object.values(links)) link.close();
      receiver.close();
      await Promise.all([redis.stop(), models.remove(), removeFile()]);
    },
  };

  try {
    await Promise.all([
      product.addGateway(),
      product.addGateway(),
      product.addWorker(),
      product.addWorker(),
    ]);
    await Promise.all(gateways.map(({ url }) => untilReady(url)));
    const port = links['gateways to webhook receiver'].port;
    await Promise.all(tenants.map((tenant) => subscribe(gateways[0]!, tenant, port)));
    return product;
  } catch (error) {
    await product.stop();
    throw error;
  }
}

export type ChaosProduct = Awaited<ReturnType<typeof startChaosProduct>>;

async function subscribe({ url }: Gateway, tenant: Tenant, port: number): Promise<void> {
  const answer = await fetch(`${url}/v1/webhook-endpoints`, {
    method: 'POST',
    headers: { ...headersOf(tenant), 'content-type': 'application/json' },
    body: JSON.stringify({
      url: `http://127.0.0.1:${port}`,
      events: [
        'passive_liveness.completed',
        'passive_liveness.failed',
        'passive_liveness.canceled',
      ],
    }),
  });
  if (!answer.ok) throw new Error(`no endpoint for ${tenant}: ${await answer.text()}`);
}
