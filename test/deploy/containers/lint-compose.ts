import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DCLinter } from 'dclint';
import { parseCompose, withDefaults, type ComposeFile, type Service } from './parse-compose.js';

/** Rules of style, and one that cannot read variables: `checkService` checks ports instead. */
const RULES_OFF = [
  'no-build-and-image',
  'no-quotes-in-volumes',
  'no-unbound-port-interfaces',
  'service-dependencies-alphabetical-order',
  'service-keys-order',
  'services-alphabetical-order',
  'top-level-properties-order',
];

/** Lists problems found by dclint, which knows the Compose schema, and violations of our policies. */
export async function lintCompose(text: string): Promise<string[]> {
  const problems = await runLinter(text);
  if (problems.length > 0) return problems;
  const compose = parseCompose(text);
  return [
    ...Object.entries(compose.services).flatMap(([name, service]) => checkService(name, service)),
    ...checkRedis(compose),
  ];
}

/** The result of dclint, whose own types do not resolve in ESM. */
interface LintResult {
  messages: { line: number; message: string }[];
}

async function runLinter(text: string): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'livegate-compose-'));
  try {
    const path = join(folder, 'docker-compose.yml');
    await writeFile(path, text);
    const rules = Object.fromEntries(RULES_OFF.map((rule) => [rule, 0 as const]));
    const linter = new DCLinter({ rules, quiet: false, debug: false, exclude: [] });
    const results = linter.lintFiles([path], false) as LintResult[];
    return results
      .flatMap(({ messages }) => messages)
      .map(({ line, message }) => `docker-compose.yml:${line}: ${message}`);
  } finally {
    await rm(folder, { recursive: true });
  }
}

function checkService(name: string, service: Service): string[] {
  const { ports = [], networks = [], security_opt: options = [] } = service;
  return complain(name, [
    [
      /:[^:]*\d+\.\d+\.\d+/.test(service.image),
      `runs ${service.image}, which is not an exact version`,
    ],
    [
      service.build ?? /@sha256:[0-9a-f]{64}$/.test(service.image),
      'runs an image without a digest',
    ],
    [service.read_only, 'has a writable root file system'],
    [service.cap_drop?.includes('ALL'), 'keeps capabilities'],
    [options.includes('no-new-privileges:true'), 'may gain privileges'],
    [ports.every(isLoopback), 'publishes a port on all interfaces'],
    [networks.length > 0 || service.network_mode === 'none', 'is on the default network'],
  ]);
}

function isLoopback(port: string): boolean {
  return withDefaults(port).startsWith('127.0.0.1:');
}

/** Redis has no password here, so only our own services may reach it. */
function checkRedis({ services, networks }: ComposeFile): string[] {
  return ['redis', 'redis-images'].flatMap((name) => {
    const redis = services[name];
    const isInside = redis?.networks?.every((network) => networks[network]?.internal);
    return complain(name, [
      [isInside && !redis?.ports, 'is reachable from outside the internal network'],
    ]);
  });
}

function complain(service: string, rules: [unknown, string][]): string[] {
  return rules.filter(([kept]) => !kept).map(([, problem]) => `service ${service} ${problem}`);
}
