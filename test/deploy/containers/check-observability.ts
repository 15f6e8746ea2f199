import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseEnv } from 'node:util';
import { parse } from 'yaml';
import { parseCompose, type ComposeFile } from './parse-compose.js';
import type { Sources } from './find-problems.js';

const PROMETHEUS_FOLDER = 'observability/prometheus';
const METRICS_PORT = 9464;

/** Lists files, services and ports that the observability configuration names and that do not exist. */
export function checkObservability(sources: Sources): string[] {
  const compose = parseCompose(sources.compose);
  return [
    ...checkMounts(compose),
    ...checkPrometheus(sources.prometheus, compose),
    ...checkCollector(sources.collector, compose),
    ...checkTelemetry(sources, compose),
    ...checkGrafana(sources, compose),
  ];
}

function checkMounts({ services }: ComposeFile): string[] {
  const mounts = Object.values(services).flatMap(({ volumes = [] }) => volumes);
  const paths = mounts
    .filter((mount) => mount.startsWith('./'))
    .map((mount) => mount.split(':')[0]!);
  return paths.filter((path) => !existsSync(path)).map((path) => `compose: ${path} does not exist`);
}

interface PrometheusConfig {
  rule_files: string[];
  scrape_configs: { job_name: string; dns_sd_configs: { names: string[]; port: number }[] }[];
}

function checkPrometheus(text: string, { services }: ComposeFile): string[] {
  const { rule_files, scrape_configs } = parse(text) as PrometheusConfig;
  const targets = scrape_configs.flatMap(({ dns_sd_configs }) => dns_sd_configs);
  const names = new Set(targets.flatMap((target) => target.names));
  const apps = Object.keys(services).filter((name) => /^(api|worker.*)$/.test(name));
  return [
    ...rule_files
      .filter((file) => !existsSync(join(PROMETHEUS_FOLDER, file)))
      .map((file) => `prometheus: ${file} does not exist`),
    ...apps.filter((app) => !names.has(app)).map((app) => `prometheus: does not scrape ${app}`),
    ...[...names].filter((name) => !services[name]).map((name) => `prometheus: no service ${name}`),
    ...targets
      .filter(({ port }) => port !== METRICS_PORT)
      .map(({ port }) => `prometheus: metrics are at ${METRICS_PORT}, not ${port}`),
  ];
}

interface CollectorConfig {
  receivers: { otlp: { protocols: Record<string, { endpoint: string }> } };
  processors: object;
  exporters: Record<string, { endpoint: string }>;
  service: {
    pipelines: Record<string, Record<'receivers' | 'processors' | 'exporters', string[]>>;
  };
}

function checkCollector(text: string, { services }: ComposeFile): string[] {
  const { service, ...parts } = parse(text) as CollectorConfig;
  const missing = Object.values(service.pipelines).flatMap((pipeline) =>
    Object.entries(pipeline).flatMap(([kind, names]) =>
      names.filter((name) => !(name in parts[kind as keyof typeof parts])),
    ),
  );
  const hosts = Object.values(parts.exporters).map(({ endpoint }) => endpoint.split(':')[0]!);
  return [
    ...missing.map((name) => `collector: ${name} is used and not configured`),
    ...hosts.filter((host) => !services[host]).map((host) => `collector: no service ${host}`),
  ];
}

/** Checks compose.env, which makes api and worker send telemetry. */
function checkTelemetry({ telemetry, collector }: Sources, { services }: ComposeFile): string[] {
  const { COMPOSE_PROFILES: profile = '', ...settings } = parseEnv(telemetry);
  const { hostname, port } = new URL(settings['OTEL_EXPORTER_OTLP_ENDPOINT'] ?? '');
  const { receivers } = parse(collector) as CollectorConfig;
  const ports = Object.values(receivers.otlp.protocols).map(
    ({ endpoint }) => endpoint.split(':')[1],
  );
  const unknown = Object.keys(settings).filter((key) => !key.startsWith('OTEL_'));
  return [
    ...unknown.map((key) => `compose.env: ${key} is not a setting of OpenTelemetry`),
    ...(services[hostname]?.profiles?.includes(profile)
      ? []
      : [`compose.env: ${hostname} is not a service of the profile ${profile}`]),
    ...(ports.includes(port) ? [] : [`compose.env: the collector does not listen on ${port}`]),
  ];
}

function checkGrafana(sources: Sources, { services }: ComposeFile): string[] {
  const { datasources } = parse(sources.dataSources) as { datasources: { url: string }[] };
  const { providers } = parse(sources.dashboards) as { providers: { options: { path: string } }[] };
  const { volumes = [], environment = {} } = services['grafana']!;
  const mounts = new Map(
    volumes.map((mount) => mount.split(':').toReversed().slice(1) as [string, string]),
  );
  const home = String(environment['GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH']);
  const homeFile = join(mounts.get(dirname(home)) ?? '', home.slice(dirname(home).length));
  return [
    ...datasources
      .filter(({ url }) => !services[new URL(url).hostname])
      .map(({ url }) => `grafana: no service answers at ${url}`),
    ...providers
      .filter(({ options }) => !mounts.has(options.path))
      .map(({ options }) => `grafana: nothing is mounted at ${options.path}`),
    ...(existsSync(homeFile) ? [] : [`grafana: ${home} does not exist`]),
  ];
}
