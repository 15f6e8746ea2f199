import { readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../', import.meta.url));
const packages = ['packages/core', 'packages/testing', 'apps/api', 'apps/worker'];

/** The rooms of each package, from the ground up: a room imports only from those below it. */
const floors: Record<string, string[]> = {
  'packages/core/src': ['domain', 'ports', 'runtime', 'telemetry', 'redis'],
  'apps/api/src': [
    'contract',
    'http',
    'credentials',
    'admission',
    'upload',
    'telemetry',
    'webhooks',
    'checks',
    'operator',
    'openapi',
    'gateway',
  ],
  'apps/worker/src': ['models', 'inference', 'engine', 'telemetry', 'scheduling', 'jobs'],
};

/** `from` selects files by path. None of their imports may match `never`; each matches `only`. */
interface Rule {
  why: string;
  from: RegExp;
  only?: RegExp;
  never?: RegExp;
}

/** Files that put parts together; all others are given what they use. */
const composition = /^apps\/.*\/(main|config|open-[a-z]+|start-[a-z]+)\.ts$/;

const rules: Rule[] = [
  {
    why: 'the domain is pure: a test of it needs nothing but Node',
    from: /^packages\/core\/src\/domain\//,
    only: /^(node:|packages\/core\/src\/domain\/)/,
  },
  {
    why: 'ports speak the language of the domain, so that a fake can be written without Redis',
    from: /^packages\/core\/src\/ports\.ts$/,
    only: /^packages\/core\/src\/domain\//,
  },
  {
    why: 'only redis/ talks to Redis: another store is another adapter',
    from: /^(?!packages\/core\/src\/redis\/)/,
    never: /^(ioredis|rate-limiter-flexible)$/,
  },
  {
    why: 'BullMQ stops where jobs are added and taken: the rest can be tested without a queue',
    from: /^(?!packages\/core\/src\/redis\/|apps\/worker\/src\/jobs\/(take-jobs|requeue)|apps\/api\/src\/webhooks\/take-deliveries)/,
    never: /^bullmq$/,
  },
  {
    why: 'ONNX Runtime stops at models/: another runtime replaces one file',
    from: /^(?!apps\/worker\/src\/models\/)/,
    never: /^onnxruntime/,
  },
  {
    why: 'only operator/ knows bull-board, which most installations never load',
    from: /^(?!apps\/api\/src\/operator\/)/,
    never: /^@bull-board\//,
  },
  {
    why: 'Express stops at routes, middlewares and presenters: what they call can be called by others',
    from: /^apps\/api\/src\/(admission\/admission|checks\/(submit|await|end)-check|upload\/inspect-image|webhooks\/(announce-check|deliver-message|send-message|take-deliveries|address-guard|webhook-url))/,
    never: /^express$/,
  },
  {
    why: 'core knows no app, and the apps do not know each other: each is deployed alone',
    from: /^packages\/core\//,
    never: /^(apps\/|@livegate\/)/,
  },
  {
    why: 'the gateway runs without the worker',
    from: /^apps\/api\//,
    never: /^(apps\/worker|@livegate\/worker)/,
  },
  {
    why: 'the worker runs without the gateway',
    from: /^apps\/worker\//,
    never: /^(apps\/api|@livegate\/api)/,
  },
  {
    why: 'core is entered by its doors: what is behind them can change',
    from: /^(apps|packages\/testing)\//,
    never:
      /^packages\/core\/|^@livegate\/core(?!\/(domain|ports|redis|runtime|shutdown|telemetry)$)/,
  },
  {
    why: 'what serves does not know what tests: images ship none of it',
    from: /^(packages\/core|apps)\//,
    never: /^(@livegate\/testing|vitest|packages\/testing)/,
  },
  {
    why: 'nothing imports a tool: a tool may go without a trace',
    from: /./,
    never: /^tools\//,
  },
];

interface Source {
  /** From the repository's root. */
  path: string;
  text: string;
  /** Packages by their names, files by their paths from the root. */
  imports: string[];
}

const sources: Source[] = packages.flatMap((folder) =>
  readdirSync(join(root, folder, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
    .map((file) => readSource(join(folder, 'src', file))),
);

function readSource(path: string): Source {
  const text = readFileSync(join(root, path), 'utf8');
  const specifiers = [...text.matchAll(/(?:from|import|import\() ?'([^']+)'/g)];
  const imports = specifiers.map(([, specifier = '']) =>
    specifier.startsWith('.')
      ? normalize(join(dirname(path), specifier)).replace(/\.js$/, '.ts')
      : specifier,
  );
  return { path, text, imports };
}

function findOffences(among: Source[], { from, only, never }: Rule): string[] {
  return among
    .filter(({ path }) => from.test(path))
    .flatMap(({ path, imports }) =>
      imports
        .filter((name) => (only && !only.test(name)) || never?.test(name))
        .map((name) => `${path} imports ${name}`),
    );
}

describe('imports', () => {
  it.each(rules.map((rule) => ({ ...rule, name: rule.why })))('$name', (rule) => {
    expect(sources.some(({ path }) => rule.from.test(path))).toBe(true);
    expect(findOffences(sources, rule)).toEqual([]);
  });

  it('of Redis adapters are in composition files alone: all others are given ports', () => {
    const readers = sources.filter(
      ({ path, text }) =>
        path.startsWith('apps/') && /^import (?!type)[^;]*'@livegate\/core\/redis';/m.test(text),
    );
    const others = readers.map(({ path }) => path).filter((path) => !composition.test(path));
    expect(others).toEqual([]);
  });

  it.each(Object.entries(floors))(
    'in %s go down, never up: the tree reads from the top',
    (base, order) => {
      const roomOf = (path: string) =>
        path.startsWith(`${base}/`) ? path.slice(base.length + 1).split(/[/.]/)[0]! : '';
      const up = sources
        .filter(({ path }) => order.includes(roomOf(path)))
        .flatMap(({ path, imports }) =>
          imports
            .filter((name) => order.indexOf(roomOf(name)) > order.indexOf(roomOf(path)))
            .map((name) => `${path} imports ${name}`),
        );
      expect(up).toEqual([]);
    },
  );

  it('make no circle, types included: each file can be read before those that import it', () => {
    expect(findCircle(sources)).toEqual([]);
  });

  it('are declared by the package that makes them: each can be installed alone', () => {
    expect(packages.flatMap(findUndeclared)).toEqual([]);
  });

  it('that point the wrong way are noticed', () => {
    const wrong = {
      path: 'packages/core/src/domain/verdict.ts',
      text: '',
      imports: ['ioredis', 'packages/core/src/redis/connect.ts', 'express', '@livegate/api/config'],
    };
    const offended = rules.filter((rule) => findOffences([wrong], rule).length > 0);
    expect(offended.map(({ why }) => why.split(':')[0])).toEqual([
      'the domain is pure',
      'only redis/ talks to Redis',
      'core knows no app, and the apps do not know each other',
    ]);
    const circle = [
      { path: 'a.ts', text: '', imports: ['b.ts'] },
      { path: 'b.ts', text: '', imports: ['a.ts'] },
    ];
    expect(findCircle(circle)).toEqual(['a.ts', 'b.ts', 'a.ts']);
  });
});

describe('the tree', () => {
  it('has at most 12 entries in a folder, tests aside: more is a room too many', () => {
    const crowded = packages
      .flatMap((folder) => listFolders(join(folder, 'src')))
      .filter((folder) => {
        const entries = readdirSync(join(root, folder)).filter(
          (name) => !name.endsWith('.test.ts'),
        );
        return entries.length > 12;
      });
    expect(crowded).toEqual([]);
  });

  it('reads the environment in main.ts alone: all else is given its settings', () => {
    const readers = sources.filter(({ text }) => /process\.env(?!\['\w+'\] =)/.test(text));
    expect(readers.map(({ path }) => path)).toEqual([
      'apps/api/src/main.ts',
      'apps/api/src/credentials/main.ts',
      'apps/worker/src/main.ts',
    ]);
  });
});

/** The files of one circle in order, the first one again at the end; empty if there is none. */
function findCircle(among: Source[]): string[] {
  const importsOf = new Map(among.map(({ path, imports }) => [path, imports]));
  const done = new Set<string>();
  for (const path of importsOf.keys()) {
    const circle = follow(path, []);
    if (circle.length > 0) return circle;
  }
  return [];

  function follow(path: string, trail: string[]): string[] {
    if (trail.includes(path)) return [...trail.slice(trail.indexOf(path)), path];
    if (done.has(path)) return [];
    for (const next of importsOf.get(path) ?? []) {
      const circle = follow(next, [...trail, path]);
      if (circle.length > 0) return circle;
    }
    done.add(path);
    return [];
  }
}

function findUndeclared(folder: string): string[] {
  const manifest = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8')) as {
    dependencies?: Record<string, string>;
  };
  const declared = new Set(Object.keys(manifest.dependencies ?? {}));
  const names = sources
    .filter(({ path }) => path.startsWith(`${folder}/`))
    .flatMap(({ imports }) => imports)
    .filter((name) => !/^(node:|apps\/|packages\/)/.test(name) && !builtinModules.includes(name))
    .map((name) =>
      (name.startsWith('@') ? name.split('/').slice(0, 2) : name.split('/', 1)).join('/'),
    );
  return [...new Set(names)]
    .filter((name) => !declared.has(name))
    .map((name) => `${folder} imports ${name} and does not declare it`);
}

function listFolders(folder: string): string[] {
  const inside = readdirSync(join(root, folder), { withFileTypes: true });
  return [
    folder,
    ...inside
      .filter((entry) => entry.isDirectory())
      .flatMap(({ name }) => listFolders(join(folder, name))),
  ];
}
