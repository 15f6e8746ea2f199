import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Manifest } from './render-overlay.js';

/** The package with the types of an API group; `kubernetes-models` has the built-in groups. */
const TYPED_GROUPS: Record<string, string> = {
  'gateway.networking.k8s.io': '@kubernetes-models/gateway-api',
  'keda.sh': '@kubernetes-models/keda',
  'monitoring.coreos.com': '@kubernetes-models/prometheus-operator',
};

/**
 * Type-checks every manifest with the TypeScript compiler, as an object literal of its kind's type. Object
 * literals make unknown keys errors too, which an API server would drop with a warning. Resolves to one
 * line per problem.
 */
export async function checkTypes(manifests: Manifest[]): Promise<string[]> {
  await mkdir('.data', { recursive: true });
  // Inside the repository, so that the compiler finds the types.
  const folder = await mkdtemp('.data/k8s-types-');
  try {
    const files = manifests.map((manifest, i) => ({ path: join(folder, `${i}.ts`), manifest }));
    for (const { path, manifest } of files) await writeFile(path, toTypeScript(manifest));
    const output = await runCompiler(files.map(({ path }) => path));
    return output.split('\n').flatMap((line) => {
      const [, index, message] = /(\d+)\.ts\(\d+,\d+\): error TS\d+: (.*)/.exec(line) ?? [];
      if (index === undefined) return [];
      const { kind, metadata } = manifests[Number(index)]!;
      return [`${kind} ${metadata.name}: ${message}`];
    });
  } finally {
    await rm(folder, { recursive: true });
  }
}

function toTypeScript({ ...manifest }: Manifest): string {
  const [group = '', version] = manifest.apiVersion.includes('/')
    ? manifest.apiVersion.split('/')
    : ['', manifest.apiVersion];
  const source = TYPED_GROUPS[group] ?? 'kubernetes-models';
  const path = [source, group, version].filter(Boolean).join('/');
  const type = `I${manifest.kind}`;
  const literal = JSON.stringify(manifest, null, 2);
  return `import type { ${type} } from '${path}';\nexport default ${literal} satisfies ${type};\n`;
}

const COMPILER_OPTIONS = ['--noEmit', '--strict', '--skipLibCheck', '--ignoreConfig'];
const MODULES = ['--module', 'esnext', '--moduleResolution', 'bundler', '--types', ''];

async function runCompiler(files: string[]): Promise<string> {
  const args = ['node_modules/typescript/bin/tsc', ...COMPILER_OPTIONS, ...MODULES, ...files];
  const compiler = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const [output] = await Promise.all([text(compiler.stdout), once(compiler, 'close')]);
  // Failed without a type error: the compiler could not run.
  if (compiler.exitCode !== 0 && !output.includes('.ts(')) throw new Error(output);
  return output;
}
