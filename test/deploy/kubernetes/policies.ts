import type { Manifest } from './render-overlay.js';

/** Lists violations of the policies that every overlay must follow. */
export function checkPolicies(manifests: Manifest[]): string[] {
  const workloads = manifests.filter(({ kind }) => kind === 'Deployment' || kind === 'StatefulSet');
  return [
    ...workloads.flatMap(checkWorkload),
    ...workloads.flatMap((workload) => checkSurroundings(workload, manifests)),
    ...manifests.filter(({ kind }) => kind === 'Secret').map(refuseSecret),
    ...manifests.filter(({ kind }) => kind === 'ScaledObject').flatMap(checkScaling),
  ];
}

function checkWorkload(workload: Manifest): string[] {
  const pod = workload.spec.template.spec;
  const shared = pod.securityContext ?? {};
  return [
    ...complain(workload, [
      [shared.runAsNonRoot === true, 'may run as root'],
      [shared.runAsUser > 0, 'does not say which user it runs as'],
      [shared.seccompProfile?.type === 'RuntimeDefault', 'has no seccomp profile'],
      [pod.automountServiceAccountToken === false, 'mounts a token of the cluster'],
      [pod.terminationGracePeriodSeconds > 0, 'does not say how long it may take to stop'],
    ]),
    ...pod.containers.flatMap((container: Container) => checkContainer(workload, container)),
  ];
}

interface Container {
  name: string;
  image: string;
  env?: { name: string; value?: string }[];
  resources?: { requests?: Record<string, string>; limits?: Record<string, string> };
  securityContext?: Record<string, unknown> & { capabilities?: { drop?: string[] } };
  startupProbe?: object;
  livenessProbe?: object;
  readinessProbe?: object;
}

function checkContainer(workload: Manifest, container: Container): string[] {
  const { image, resources = {}, securityContext = {}, env = [] } = container;
  const [, tag, digest] = /:([^/:@]+)(@sha256:[0-9a-f]{64})?$/.exec(image) ?? [];
  // The operator builds ours.
  const isOurs = /(^|\/)livegate-[a-z-]+(:|$)/.test(image);
  const has = (of: Record<string, string> = {}) => Boolean(of['cpu'] && of['memory']);
  return complain(workload, [
    [tag !== undefined && tag !== 'latest', `runs an image without a version: ${image}`],
    [isOurs || digest, `runs an image without a digest: ${image}`],
    [has(resources.requests), 'requests no CPU or memory'],
    [has(resources.limits), 'has no limit of CPU or memory'],
    [container.startupProbe && container.livenessProbe, 'lacks a startup or liveness probe'],
    [container.readinessProbe, 'lacks a readiness probe'],
    [securityContext['allowPrivilegeEscalation'] === false, 'may gain privileges'],
    [securityContext['readOnlyRootFilesystem'] === true, 'may write to its root file system'],
    [securityContext.capabilities?.drop?.includes('ALL'), 'keeps capabilities'],
    [env.every(isHarmless), 'contains a secret in plain text'],
  ]);
}

/** A plain value is a problem for passwords and for Redis URLs, which contain one. */
function isHarmless({ name, value }: { name: string; value?: string }): boolean {
  return value === undefined || !/REDIS_URL|PASSWORD|SECRET|TOKEN/.test(name);
}

/** Checks for manifests that must select the pods of this workload. */
function checkSurroundings(workload: Manifest, manifests: Manifest[]): string[] {
  const labels = workload.spec.template.metadata.labels;
  const covered = (kind: string, selectorOf: (spec: Manifest['spec']) => Selector) =>
    manifests.some(
      (manifest) => manifest.kind === kind && selects(selectorOf(manifest.spec), labels),
    );
  return complain(workload, [
    [covered('PodDisruptionBudget', (spec) => spec.selector), 'has no disruption budget'],
    [covered('NetworkPolicy', (spec) => spec.podSelector), 'has no network policy of its own'],
  ]);
}

interface Selector {
  matchLabels?: Record<string, string>;
}

/** An empty selector selects every pod, and so does not count as one for this workload. */
function selects({ matchLabels }: Selector, labels: Record<string, string>): boolean {
  const wanted = Object.entries(matchLabels ?? {});
  return wanted.length > 0 && wanted.every(([name, value]) => labels[name] === value);
}

function refuseSecret({ metadata }: Manifest): string {
  return `Secret ${metadata.name}: secrets are created in the cluster and only referenced here`;
}

const STATES = ['wait', 'prioritized', 'active', 'delayed'];

function checkScaling(scaled: Manifest): string[] {
  const { triggers, minReplicaCount, cooldownPeriod, advanced } = scaled.spec;
  const names: string[] = triggers.map(({ name }: { name: string }) => name);
  const counted = new Set(names);
  const formula: string = advanced?.scalingModifiers?.formula ?? '';
  const terms = new Set(formula.split('+').map((term) => term.trim()));
  const lists: string[] = triggers.map(
    ({ metadata }: { metadata: { listName: string } }) => metadata.listName,
  );
  return complain(scaled, [
    [STATES.every((state) => counted.has(state)), 'does not count every state of the queue'],
    [STATES.every((state) => terms.has(state)), 'does not add up every state of the queue'],
    [lists.every((list, i) => list.endsWith(`:${names[i]}`)), 'counts another list than it says'],
    [minReplicaCount >= 1, 'scales to 0: a cold start takes longer than callers wait'],
    [cooldownPeriod >= 60, 'scales down within a minute'],
  ]);
}

function complain({ kind, metadata }: Manifest, rules: [unknown, string][]): string[] {
  return rules
    .filter(([kept]) => !kept)
    .map(([, problem]) => `${kind} ${metadata.name}: ${problem}`);
}
