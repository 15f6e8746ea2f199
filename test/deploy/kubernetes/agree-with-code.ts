import { apiConfigRules, apiConfigSchema } from '@livegate/api/gateway/config';
import { createOpenApiDocument } from '@livegate/api/openapi/create-document';
import { type ConfigRule, findConfigProblems } from '@livegate/core/runtime';
import { SHUTDOWN_GRACE_MS, workerConfigRules, workerConfigSchema } from '@livegate/worker/config';
import { serveHealth } from '@livegate/worker/health';
import type { Manifest } from './render-overlay.js';

/** Variables that Node, the C library or the OpenTelemetry SDK read, and not Livegate. */
const FOREIGN_KEY = /^(UV_THREADPOOL_SIZE|MALLOC_ARENA_MAX|OTEL_[A-Z_]+)$/;
const METRICS_PORT = 9464;

/** Lists settings, ports, paths and grace periods in the manifests that contradict the programs. */
export async function checkAgreement(manifests: Manifest[]): Promise<string[]> {
  const [api, worker] = ['api', 'worker'].map((app) => findApp(manifests, app));
  return [
    ...checkApi(api!, manifests),
    ...(await checkWorker(worker!)),
    ...[api!, worker!].flatMap(checkMetrics),
  ];
}

interface App {
  name: string;
  pod: Manifest['spec'];
  container: Manifest['spec'];
  env: Record<string, string>;
}

function findApp(manifests: Manifest[], name: string): App {
  const deployment = manifests.find(
    ({ kind, metadata }) => kind === 'Deployment' && metadata.name === `livegate-${name}`,
  );
  const pod = deployment!.spec.template.spec;
  const [container] = pod.containers;
  const maps = (container.envFrom ?? []).map((from: { configMapRef: { name: string } }) =>
    manifests.find(
      ({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === from.configMapRef.name,
    ),
  );
  const plain = (container.env ?? []).map((entry: { name: string; value?: string }) => [
    entry.name,
    // The value of a Secret is unknown here, so use a valid one.
    entry.value ?? 'redis://from-a-secret:6379',
  ]);
  const env = Object.assign(
    {},
    ...maps.map((map: Manifest) => map.data),
    Object.fromEntries(plain),
  );
  return { name, pod, container, env };
}

function checkApi(api: App, manifests: Manifest[]): string[] {
  const { config, problems } = readEnv(api, apiConfigSchema, apiConfigRules);
  if (!config) return problems;
  const graceMs = 1000 * (api.pod.terminationGracePeriodSeconds - preStopSeconds(api));
  const waits = config.LIVEGATE_UPLOAD_TIMEOUT_MS + config.LIVEGATE_WAIT_LIMIT_MS;
  const limits = {
    maxImageBytes: config.LIVEGATE_MAX_IMAGE_BYTES,
    maxImagePixels: config.LIVEGATE_MAX_IMAGE_PIXELS,
  };
  const { paths } = createOpenApiDocument({
    limits,
    waitLimitMs: config.LIVEGATE_WAIT_LIMIT_MS,
    publicUrl: undefined,
    pageAssets: [],
    body: 'multipart',
  });
  return [
    ...problems,
    ...checkPort(api, 'http', config.PORT),
    ...probePaths(api)
      .filter((path) => !(path in paths))
      .map((path) => `api: no route ${path}`),
    ...(graceMs > config.LIVEGATE_DRAIN_MS + config.LIVEGATE_WAIT_LIMIT_MS
      ? []
      : ['api: terminationGracePeriodSeconds ends before waiting callers are answered']),
    ...routeTimeoutsMs(manifests)
      .filter((ms) => ms <= waits)
      .map((ms) => `HTTPRoute: times out after ${ms} ms, but upload and wait may take ${waits} ms`),
  ];
}

async function checkWorker(worker: App): Promise<string[]> {
  const { config, problems } = readEnv(worker, workerConfigSchema, workerConfigRules);
  if (!config) return problems;
  const health = await serveHealth(
    { host: '127.0.0.1', port: 0 },
    { longestRunMs: () => 0, findProblem: () => undefined },
  );
  const answers = await Promise.all(
    probePaths(worker).map(async (path) => {
      const { status } = await fetch(`http://127.0.0.1:${health.port}${path}`);
      return status === 200 ? [] : [`worker: ${path} answers ${status}`];
    }),
  );
  health.close();
  const graceMs = 1000 * worker.pod.terminationGracePeriodSeconds;
  return [
    ...problems,
    ...checkDecodingThreads(worker),
    ...answers.flat(),
    ...checkPort(worker, 'health', config.LIVEGATE_WORKER_HEALTH_PORT),
    ...(graceMs > SHUTDOWN_GRACE_MS
      ? []
      : ['worker: terminationGracePeriodSeconds ends before its checks are finished']),
  ];
}

/** libuv's own threads decode the images; fewer than the CPUs would leave some of those idle. */
function checkDecodingThreads({ env, container }: App): string[] {
  const threads = Number(env['UV_THREADPOOL_SIZE']);
  const cpus = Number(container.resources?.limits?.cpu ?? 0);
  return threads >= cpus ? [] : [`worker: ${threads} decoding threads for ${cpus} CPUs`];
}

function readEnv<Schema extends ConfigRule>(
  { name, env }: App,
  schema: Schema,
  rules: ConfigRule[],
) {
  const known = new Set(Object.keys(schema.shape));
  const unknown = Object.keys(env)
    .filter((key) => !known.has(key) && !FOREIGN_KEY.test(key))
    .map((key) => `unknown setting ${key}`);
  const wrong = findConfigProblems(schema, env, rules);
  const problems = [...unknown, ...wrong].map((problem) => `${name}: ${problem}`);
  const set = Object.entries(env).filter(([, value]) => value !== '');
  return { config: schema.safeParse(Object.fromEntries(set)).data, problems };
}

/** The metrics port must be served, and on all addresses, so that Prometheus can scrape it. */
function checkMetrics(app: App): string[] {
  const { OTEL_METRICS_EXPORTER: exporter, OTEL_EXPORTER_PROMETHEUS_HOST: host } = app.env;
  const isServed = exporter?.split(',').includes('prometheus') && host === '0.0.0.0';
  return [
    ...checkPort(app, 'metrics', METRICS_PORT),
    ...(isServed ? [] : [`${app.name}: serves no metrics on port ${METRICS_PORT}`]),
  ];
}

function checkPort({ name, container }: App, port: string, expected: number | undefined): string[] {
  const found = container.ports.find((declared: { name: string }) => declared.name === port);
  return found?.containerPort === expected ? [] : [`${name}: port ${port} is not ${expected}`];
}

/** Skips missing probes, which `checkPolicies` reports. */
function probePaths({ container }: App): string[] {
  const { startupProbe, livenessProbe, readinessProbe } = container;
  return [startupProbe, livenessProbe, readinessProbe].flatMap(
    (probe) => probe?.httpGet.path ?? [],
  );
}

function preStopSeconds({ container }: App): number {
  return container.lifecycle?.preStop?.sleep?.seconds ?? 0;
}

function routeTimeoutsMs(manifests: Manifest[]): number[] {
  return manifests
    .filter(({ kind }) => kind === 'HTTPRoute')
    .flatMap(({ spec }) =>
      spec.rules.map((rule: Manifest['spec']) => 1000 * parseFloat(rule.timeouts?.request ?? '0')),
    );
}
