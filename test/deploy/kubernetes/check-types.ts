import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Manifest } from './render-overlay.js';

/** Where the types of an API group come from; Kubernetes' own groups are in `kubernetes-models`. */
const TYPED_GROUPS: Record<string, string> = {
  'gateway.networking.k8s.io': '@kubernetes-models/gateway-api',
  'keda.sh': '@kubernetes-models/keda',
  'monitoring.coreos.com': '@kubernetes-models/prometheus-operator',
};

/**
 * Has the TypeScript compiler hold every manifest against the type of its kind, as object literals:
 * so unknown and misspelt keys are errors, too, which an API server drops with a warning. Resolves
 * to what is wrong, one line each.
 */
export async function checkTypes(manifests: Manifest[]): Promise<string[]> {
  await mkdir('.data', { recursive: true });
  // Within the repository, where the compiler finds the types.
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
  // Neither silent nor in a form that is understood here: nothing was checked.
  if (compiler.exitCode !== 0 && !output.includes('.ts(')) throw new Error(output);
  return output;
}
