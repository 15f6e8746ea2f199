import type { Manifest } from './render-overlay.js';

/** Mistakes that the checks must report: a test makes each in a copy of the manifests. */
export const mutations: Record<string, (manifests: Manifest[]) => void> = {
  'a misspelt probe': (manifests) =>
    rename(containerOf(manifests), 'readinessProbe', 'readinesProbe'),
  'a misspelt limit': (manifests) => rename(containerOf(manifests).resources, 'limits', 'limit'),
  'a number written as text': (manifests) =>
    void (podOf(manifests).terminationGracePeriodSeconds = '30'),
  'an image tagged latest': (manifests) =>
    void (containerOf(manifests).image = 'livegate-worker:latest'),
  'a root user': (manifests) => void (podOf(manifests).securityContext.runAsUser = 0),
  'an unknown setting': (manifests) => void (configOf(manifests)['LIVEGATE_LINGER'] = '3'),
  'a health port that differs from the pod': (manifests) =>
    void (configOf(manifests)['LIVEGATE_WORKER_HEALTH_PORT'] = '9000'),
  'a metrics port without metrics': (manifests) =>
    void delete configOf(manifests)['OTEL_METRICS_EXPORTER'],
  'fewer decoding threads than CPUs': (manifests) =>
    void (configOf(manifests)['UV_THREADPOOL_SIZE'] = '1'),
  'a missing public URL and no trusted proxy': (manifests) => {
    const settings = configOf(manifests, 'api');
    delete settings['LIVEGATE_PUBLIC_URL'];
    delete settings['LIVEGATE_TRUST_PROXY'];
  },
  'a probe of an unknown path': (manifests) =>
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
