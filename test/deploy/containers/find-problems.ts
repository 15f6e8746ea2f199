import { readFile } from 'node:fs/promises';
import { checkAgreement } from './agree-with-code.js';
import { checkObservability } from './check-observability.js';
import { lintCompose } from './lint-compose.js';
import { lintDockerfile } from './dockerfile.js';

/** Lists all problems. Skips further checks if Dockerfile or docker-compose.yml is invalid. */
export async function findProblems(sources: Sources): Promise<string[]> {
  const invalid = [...lintDockerfile(sources.dockerfile), ...(await lintCompose(sources.compose))];
  if (invalid.length > 0) return invalid;
  return [...checkAgreement(sources), ...checkObservability(sources)];
}

const FILES = {
  dockerfile: 'Dockerfile',
  compose: 'docker-compose.yml',
  telemetry: 'observability/compose.env',
  prometheus: 'observability/prometheus/prometheus.yml',
  collector: 'observability/collector.yaml',
  dataSources: 'observability/grafana/provisioning/datasources/livegate.yaml',
  dashboards: 'observability/grafana/provisioning/dashboards/livegate.yaml',
  kustomization: 'k8s/base/kustomization.yaml',
  apiDeployment: 'k8s/base/api/deployment.yaml',
  apiSettings: 'k8s/base/api/settings.env',
  workerDeployment: 'k8s/base/worker/deployment.yaml',
  workerSettings: 'k8s/base/worker/settings.env',
  redis: 'k8s/components/redis/stateful-set.yaml',
};

/** The text of every checked file. */
export type Sources = Record<keyof typeof FILES, string>;

/** Reads the files of the repository in the working directory. */
export async function readSources(): Promise<Sources> {
  const read = Object.entries(FILES).map(async ([name, path]) => [
    name,
    await readFile(path, 'utf8'),
  ]);
  return Object.fromEntries(await Promise.all(read)) as Sources;
}
