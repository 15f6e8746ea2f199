import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

/**
 * The direction of dependencies. `from` selects files by their path; none of their imports may
 * match `never` and, where `only` is given, each must match it. Relative imports are compared as
 * paths from the repository's root.
 */
const rules: { why: string; from: RegExp; only?: RegExp; never?: RegExp }[] = [
  {
    why: 'the domain knows nothing but itself and Node',
    from: /^packages\/core\/src\/domain\//,
    only: /^(node:|packages\/core\/src\/domain\/)/,
  },
  {
    why: 'ports speak the language of the domain',
    from: /^packages\/core\/src\/ports\.js$/,
    only: /^packages\/core\/src\/domain\//,
  },
  {
    why: 'runtime knows no Redis',
    from: /^packages\/core\/src\/runtime\//,
    never: /redis|bullmq/,
  },
  {
    why: 'only redis/ talks to Redis',
    from: /^(?!packages\/core\/src\/redis\/)/,
    never: /^(ioredis|rate-limiter-flexible)$/,
  },
  {
    why: 'only redis/, take-jobs, give-back and take-deliveries know BullMQ',
    from: /^(?!packages\/core\/src\/redis\/|apps\/(worker\/src\/(take-jobs|give-back)|api\/src\/webhooks\/take-deliveries))/,
    never: /^bullmq$/,
  },
  {
    why: 'only operator/ knows bull-board',
    from: /^(?!apps\/api\/src\/operator\/)/,
    never: /^@bull-board\//,
  },
  {
    why: 'core knows no app',
    from: /^packages\/core\//,
    never: /^(apps\/|@livegate\/)/,
  },
  {
    why: 'apps reach core through its entries, and never each other',
    from: /^apps\/(api|worker)\//,
    never: /^(packages\/|@livegate\/(?!core(\/testing|\/shutdown)?$))/,
  },
  { why: 'the api does not import the worker', from: /^apps\/api\//, never: /^apps\/worker\// },
  { why: 'the worker does not import the api', from: /^apps\/worker\//, never: /^apps\/api\// },
  {
    why: 'Express stops at the middlewares and routes',
    from: /^apps\/api\/src\/(credentials\/|fleet|submit-check|inspect-image|present-error|config)/,
    never: /^express$/,
  },
  {
    why: 'only onnx/ knows ONNX Runtime',
    from: /^(?!apps\/worker\/src\/onnx\/)/,
    never: /^onnxruntime/,
  },
  {
    why: 'the code that serves does not know the fakes',
    from: /^(packages|apps)\/[^/]+\/src\/(?!testing\/)/,
    never: /testing/,
  },
];

interface Source {
  /** From the repository's root, with the extension it is imported by. */
  path: string;
  text: string;
  imports: string[];
}

const root = fileURLToPath(new URL('../../', import.meta.url));

function readSources(): Source[] {
  return ['packages/core/src', 'apps/api/src', 'apps/worker/src'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
      .map((file) => readSource(join(folder, file))),
  );
}

function readSource(file: string): Source {
  const text = readFileSync(join(root, file), 'utf8');
  const specifiers = [...text.matchAll(/(?:from|import|import\() ?'([^']+)'/g)];
  const imports = specifiers.map(([, specifier = '']) =>
    specifier.startsWith('.') ? normalize(join(dirname(file), specifier)) : specifier,
  );
  return { path: file.replace(/\.ts$/, '.js'), text, imports };
}

function findOffences(sources: Source[], { from, only, never }: (typeof rules)[number]): string[] {
  return sources
    .filter(({ path }) => from.test(path))
    .flatMap(({ path, imports }) =>
      imports
        .filter((name) => (only && !only.test(name)) || never?.test(name))
        .map((name) => `${path} imports ${name}`),
    );
}

describe('architecture', () => {
  const sources = readSources();

  it.each(rules.map((rule) => ({ ...rule, name: rule.why })))('$name', (rule) => {
    expect(sources.some(({ path }) => rule.from.test(path))).toBe(true);
    expect(findOffences(sources, rule)).toEqual([]);
  });

  it('would notice an import that points the wrong way', () => {
    const wrong = {
      path: 'packages/core/src/domain/verdict.js',
      text: '',
      imports: ['ioredis', 'packages/core/src/redis/connect.js', 'express', '@livegate/api'],
    };
    const offended = rules.filter((rule) => findOffences([wrong], rule).length > 0);
    expect(offended.map(({ why }) => why)).toEqual([
      'the domain knows nothing but itself and Node',
      'only redis/ talks to Redis',
      'core knows no app',
    ]);
  });

  it('only the entry points read the environment', () => {
    const readers = sources.filter(({ text }) => /process\.env(?!\['\w+'\] =)/.test(text));
    expect(readers.map(({ path }) => path)).toEqual([
      'apps/api/src/main.js',
      'apps/api/src/credentials/main.js',
      'apps/worker/src/main.js',
    ]);
  });
});
