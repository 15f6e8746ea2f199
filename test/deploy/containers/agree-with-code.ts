import { parseEnv } from 'node:util';
import { apiConfigRules, apiConfigSchema } from '@livegate/api/gateway/config';
import { type ConfigRule, findConfigProblems } from '@livegate/core/runtime';
import { workerConfigRules, workerConfigSchema } from '@livegate/worker/config';
import { parse } from 'yaml';
import { findStep, isImage, parseDockerfile, readEnv, type Stage } from './dockerfile.js';
import type { Sources } from './find-problems.js';
import { parseCompose, type Service, withDefaults } from './parse-compose.js';

/** Variables that Node, libraries or the C library read; Livegate itself may not. */
const FOREIGN_KEY = /^(NODE_ENV|UV_THREADPOOL_SIZE|MALLOC_ARENA_MAX)$/;

interface App {
  stage: Stage;
  env: Record<string, string>;
  service: Service;
  /** The pod and the settings in k8s/. */
  pod: Pod;
  settings: Record<string, string | undefined>;
  schema: typeof apiConfigSchema | typeof workerConfigSchema;
  rules: ConfigRule[];
}

interface Pod {
  securityContext: { runAsUser: number; runAsGroup: number };
  terminationGracePeriodSeconds: number;
  containers: [{ command: string[]; ports: { name: string; containerPort: number }[] }];
}

/** Lists where Dockerfile, docker-compose.yml, k8s/ and the programs contradict each other. */
export function checkAgreement(sources: Sources): string[] {
  const { services } = parseCompose(sources.compose);
  const stages = parseDockerfile(sources.dockerfile);
  const images = stages.filter(isImage);
  return [
    ...images.flatMap((stage) => checkImage(readApp(stage, stages, sources))),
    ...Object.entries(services).flatMap(([name, service]) => checkVersion(name, service, sources)),
    ...checkRedis(services['redis']!, sources),
    ...['api', 'worker'].flatMap((name) => checkImageStore(name, services)),
  ];
}

function readApp(stage: Stage, stages: Stage[], sources: Sources): App {
  const { services } = parseCompose(sources.compose);
  const isApi = stage.name === 'api';
  const deployment = parse(isApi ? sources.apiDeployment : sources.workerDeployment) as {
    spec: { template: { spec: Pod } };
  };
  return {
    stage,
    env: readEnv(stages, stage.name),
    service: services[stage.name]!,
    pod: deployment.spec.template.spec,
    settings: parseEnv(isApi ? sources.apiSettings : sources.workerSettings),
    schema: isApi ? apiConfigSchema : workerConfigSchema,
    rules: isApi ? apiConfigRules : workerConfigRules,
  };
}

function checkImage(app: App): string[] {
  const { stage, service, pod, env, settings } = app;
  const { runAsUser, runAsGroup } = pod.securityContext;
  const [{ command, ports }] = pod.containers;
  const exposed = new Set(findStep(stage, 'EXPOSE')?.args.map(Number));
  const grace = `${pod.terminationGracePeriodSeconds}s`;
  const shared = Object.keys(settings).filter((key) => key in env);
  return complain(stage.name, [
    ...checkEnv(app),
    [service?.build?.target === stage.name, 'is not a service of docker-compose.yml'],
    [findStep(stage, 'USER')?.text === `${runAsUser}:${runAsGroup}`, 'has a different user in k8s'],
    [findStep(stage, 'CMD')?.args.join() === command.join(), 'has a different command in k8s'],
    [
      exposed.size === ports.length && ports.every((port) => exposed.has(port.containerPort)),
      'has different ports in k8s',
    ],
    [shared.every((key) => env[key] === settings[key]), 'has different settings in k8s'],
    [service?.stop_grace_period === grace, `has a stop_grace_period other than k8s (${grace})`],
    [
      probedPort(findStep(stage, 'HEALTHCHECK')?.text, env) === healthPort(env),
      'has a HEALTHCHECK of another port',
    ],
    [
      probedPort(service?.healthcheck?.test.join(' ')) === healthPort(env),
      'has a Compose healthcheck of another port',
    ],
  ]);
}

/** Checks the settings of the image with those of Compose on top. */
function checkEnv({ env, service, schema, rules }: App): [boolean, string][] {
  const own = Object.entries(service?.environment ?? {}).map(([key, value]) => [
    key,
    withDefaults(value),
  ]);
  const all: Record<string, string> = { ...env, ...Object.fromEntries(own) };
  const unknown = Object.keys(all).filter(
    (key) => !(key in schema.shape) && !FOREIGN_KEY.test(key),
  );
  return [
    ...unknown.map((key): [boolean, string] => [false, `has the unknown setting ${key}`]),
    ...findConfigProblems(schema, all, rules).map((problem): [boolean, string] => [
      false,
      `has an invalid setting: ${problem}`,
    ]),
  ];
}

function probedPort(command = '', env: Record<string, string> = {}): string | undefined {
  const expanded = command.replaceAll(/\$(\w+)/g, (_, key: string) => env[key] ?? '');
  return /http:\/\/127\.0\.0\.1:(\d+)\/(?:livez|readyz)\b/.exec(expanded)?.[1];
}

function healthPort(env: Record<string, string>): string | undefined {
  return env['LIVEGATE_WORKER_HEALTH_PORT'] ?? env['PORT'];
}

/** Image tags and version labels must equal the version in k8s/. */
function checkVersion(name: string, { image, build }: Service, sources: Sources): string[] {
  if (!build) return [];
  const kustomization = parse(sources.kustomization) as {
    images: { name: string; newTag: string }[];
  };
  const version = kustomization.images[0]!.newTag;
  const declared = parseDockerfile(sources.dockerfile)
    .filter(({ name: stage }) => stage === build.target)
    .map((stage) => findStep(stage, 'ARG')?.text);
  return complain(name, [
    [image === `livegate-${build.target}:${version}`, `is not livegate-${build.target}:${version}`],
    [declared.join() === `VERSION=${version}`, `has a version label other than ${version}`],
  ]);
}

function checkRedis({ image, user }: Service, sources: Sources): string[] {
  const { spec } = parse(sources.redis) as { spec: { template: { spec: RedisPod } } };
  const pod = spec.template.spec;
  const { runAsUser, runAsGroup } = pod.securityContext;
  return complain('redis', [
    [pod.containers[0].image.endsWith(`/${image}`), 'has a different image in k8s'],
    [user === `${runAsUser}:${runAsGroup}`, 'has a different user in k8s'],
  ]);
}

/** Deleted images must leave the disk soon, which takes an append-only file that is rewritten often. */
function checkImageStore(name: string, services: Record<string, Service>): string[] {
  const { BLOB_REDIS_URL: url = '' } = services[name]?.environment ?? {};
  const command = services[/^redis:\/\/([\w-]+):/.exec(String(url))?.[1] ?? '']?.command ?? [];
  return complain(name, [
    [
      command.includes('--auto-aof-rewrite-min-size 1mb'),
      'stores images in a Redis that rarely rewrites its append-only file',
    ],
  ]);
}

interface RedisPod extends Omit<Pod, 'containers'> {
  containers: [{ image: string }];
}

function complain(name: string, rules: [unknown, string][]): string[] {
  return rules.filter(([kept]) => !kept).map(([, problem]) => `${name} ${problem}`);
}
