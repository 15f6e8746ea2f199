import type { Manifest } from './render-overlay.js';

/** Mistakes that a check of manifests is there for. Each is made in a copy, and must be found. */
export const mutations: Record<string, (manifests: Manifest[]) => void> = {
  'a misspelt probe': (manifests) =>
    rename(containerOf(manifests), 'readinessProbe', 'readinesProbe'),
  'a misspelt limit': (manifests) => rename(containerOf(manifests).resources, 'limits', 'limit'),
  'a number as text': (manifests) => void (podOf(manifests).terminationGracePeriodSeconds = '30'),
  'the latest image': (manifests) => void (containerOf(manifests).image = 'livegate-worker:latest'),
  'a root user': (manifests) => void (podOf(manifests).securityContext.runAsUser = 0),
  'an unknown setting': (manifests) => void (configOf(manifests)['LIVEGATE_LINGER'] = '3'),
  'another port': (manifests) => void (configOf(manifests)['LIVEGATE_WORKER_HEALTH_PORT'] = '9000'),
  'metrics that nobody serves': (manifests) =>
    void delete configOf(manifests)['OTEL_METRICS_EXPORTER'],
  'no address that callers use': (manifests) => {
    const settings = configOf(manifests, 'api');
    delete settings['LIVEGATE_PUBLIC_URL'];
    delete settings['LIVEGATE_TRUST_PROXY'];
  },
  'a path that is not there': (manifests) =>
    void (containerOf(manifests).livenessProbe.httpGet.path = '/healthz'),
};

function podOf(manifests: Manifest[], app = 'worker') {
  return manifests.find(
    ({ kind, metadata }) => kind === 'Deployment' && metadata.name === `livegate-${app}`,
  )!.spec.template.spec;
}

function containerOf(manifests: Manifest[], app?: string) {
  return podOf(manifests, app).containers[0];
}

function configOf(manifests: Manifest[], app?: string) {
  const { name } = containerOf(manifests, app).envFrom[0].configMapRef;
  return manifests.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === name)!
    .data!;
}

function rename(holder: Record<string, unknown>, from: string, to: string): void {
  holder[to] = holder[from];
  delete holder[from];
}
