import { expect, test } from 'vitest';
import { checkPolicies } from './policies.js';
import type { Manifest } from './render-overlay.js';

const labels = { app: 'livegate-worker' };

/** Manifests of a worker without any violation; each test breaks one policy. */
function soundManifests() {
  const probe = { httpGet: { path: '/livez', port: 'health' } };
  const container = {
    name: 'worker',
    image: 'ghcr.io/livegate/livegate-worker:0.1.0',
    env: [{ name: 'REDIS_URL', valueFrom: { secretKeyRef: { name: 'redis', key: 'url' } } }],
    startupProbe: probe,
    livenessProbe: probe,
    readinessProbe: probe,
    resources: { requests: { cpu: '1', memory: '1Gi' }, limits: { cpu: '1', memory: '1Gi' } },
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    },
  };
  const pod = {
    automountServiceAccountToken: false,
    terminationGracePeriodSeconds: 30,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: 10001,
      seccompProfile: { type: 'RuntimeDefault' },
    },
    containers: [container],
  };
  const scaling = {
    minReplicaCount: 1,
    cooldownPeriod: 300,
    advanced: { scalingModifiers: { formula: 'wait + prioritized + active + delayed' } },
    triggers: ['wait', 'prioritized', 'active', 'delayed'].map((name) => ({
      name,
      metadata: { listName: `{livegate}:liveness:${name}` },
    })),
  };
  const manifests: Manifest[] = [
    manifest('Deployment', { template: { metadata: { labels }, spec: pod } }),
    manifest('PodDisruptionBudget', { selector: { matchLabels: labels } }),
    manifest('NetworkPolicy', { podSelector: { matchLabels: labels } }),
    manifest('ScaledObject', scaling),
  ];
  return { manifests, pod, container, scaling };
}

function manifest(kind: string, spec: object): Manifest {
  return { apiVersion: 'v1', kind, metadata: { name: 'it' }, spec };
}

type Sound = ReturnType<typeof soundManifests>;

test('checkPolicies reports nothing for manifests that follow all policies', () => {
  expect(checkPolicies(soundManifests().manifests)).toEqual([]);
});

test.each<[string, (sound: Sound) => unknown]>([
  ['may run as root', ({ pod }) => (pod.securityContext.runAsNonRoot = false)],
  ['does not say which user', ({ pod }) => (pod.securityContext.runAsUser = 0)],
  ['no seccomp profile', ({ pod }) => (pod.securityContext.seccompProfile.type = 'Unconfined')],
  ['mounts a token', ({ pod }) => (pod.automountServiceAccountToken = true)],
  ['how long it may take to stop', ({ pod }) => (pod.terminationGracePeriodSeconds = 0)],
  ['without a version', ({ container }) => (container.image = 'livegate-worker')],
  ['without a version', ({ container }) => (container.image = 'livegate-worker:latest')],
  ['without a digest', ({ container }) => (container.image = 'docker.io/library/redis:8.2.3')],
  ['requests no CPU or memory', ({ container }) => (container.resources.requests.cpu = '')],
  ['no limit of CPU or memory', ({ container }) => (container.resources.limits.memory = '')],
  ['startup or liveness', ({ container }) => Reflect.deleteProperty(container, 'livenessProbe')],
  ['a readiness probe', ({ container }) => Reflect.deleteProperty(container, 'readinessProbe')],
  ['may gain', ({ container }) => (container.securityContext.allowPrivilegeEscalation = true)],
  ['may write', ({ container }) => (container.securityContext.readOnlyRootFilesystem = false)],
  ['keeps capabilities', ({ container }) => (container.securityContext.capabilities.drop = [])],
  [
    'a secret in plain text',
    ({ container }) => Object.assign(container.env[0]!, { value: 'redis://user:secret@redis' }),
  ],
  ['no disruption budget', ({ manifests }) => manifests.splice(1, 1)],
  ['no network policy', ({ manifests }) => (manifests[2]!.spec = { podSelector: {} })],
  ['secrets are created in the cluster', ({ manifests }) => manifests.push(manifest('Secret', {}))],
  ['scales to 0', ({ scaling }) => (scaling.minReplicaCount = 0)],
  ['within a minute', ({ scaling }) => (scaling.cooldownPeriod = 30)],
  ['does not count every state', ({ scaling }) => scaling.triggers.pop()],
  [
    'does not add up every state',
    ({ scaling }) => (scaling.advanced.scalingModifiers.formula = 'wait + active'),
  ],
  [
    'counts another list',
    ({ scaling }) => (scaling.triggers[0]!.metadata.listName = '{livegate}:liveness:active'),
  ],
])('checkPolicies reports once: "%s"', (problem, spoil) => {
  const sound = soundManifests();
  spoil(sound);
  expect(checkPolicies(sound.manifests).filter((found) => found.includes(problem))).toHaveLength(1);
});
