import { readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../', import.meta.url));
const packages = [
  'packages/capture',
  'packages/core',
  'packages/testing',
  'apps/api',
  'apps/worker',
];

/** The folders of each package in layers, lowest first: a folder imports only from lower layers. */
const layers: Record<string, string[]> = {
  'packages/capture/src': [
    'abort',
    'capture-events',
    'faces',
    'camera',
    'session-client',
    'screen',
    'ways',
    'use-camera',
    'take-photo',
    'run-session',
    'livegate-capture',
  ],
  'packages/core/src': ['domain', 'browser', 'ports', 'runtime', 'telemetry', 'redis'],
  'apps/api/src': [
    'contract',
    'http',
    'credentials',
    'admission',
    'telemetry',
    'webhooks',
    'checks',
    'sessions',
    'operator',
    'openapi',
    'gateway',
  ],
  'apps/worker/src': ['models', 'inference', 'engine', 'telemetry', 'scheduling', 'jobs'],
};

/** `from` selects files by path. Their imports must all match `only`, and none may match `never`. */
interface Rule {
  why: string;
  from: RegExp;
  only?: RegExp;
  never?: RegExp;
}

/** Composition files, which alone create adapters; all others get them as arguments. */
const composition = /^apps\/.*\/(main|config|open-[a-z]+|start-[a-z]+)\.ts$/;
/** The worker's half of the queue adapter: BullMQ calls it, so it cannot be an argument. */
const queueAdapter = 'apps/worker/src/jobs/take-jobs.ts';

const rules: Rule[] = [
  {
    why: 'domain/ imports only Node and itself, so that its tests need nothing else',
    from: /^packages\/core\/src\/domain\//,
    only: /^(node:|packages\/core\/src\/domain\/)/,
  },
  {
    why: 'ports import only domain/, so that a fake can be written without Redis',
    from: /^packages\/core\/src\/ports[./]/,
    only: /^packages\/core\/src\/(domain|ports)\//,
  },
  {
    why: 'only redis/ imports a Redis client, so that another store takes only another adapter',
    from: /^(?!packages\/core\/src\/redis\/|packages\/testing\/)/,
    never: /^(ioredis|rate-limiter-flexible)$/,
  },
  {
    why: 'only files that add or take jobs import BullMQ, so that the rest can be tested without a queue',
    from: /^(?!packages\/core\/src\/redis\/|packages\/testing\/|apps\/worker\/src\/jobs\/(take-jobs|requeue)|apps\/api\/src\/webhooks\/take-deliveries)/,
    never: /^bullmq$/,
  },
  {
    why: 'only models/ imports ONNX Runtime, so that another runtime replaces one file',
    from: /^(?!apps\/worker\/src\/models\/)/,
    never: /^onnxruntime/,
  },
  {
    why: 'only operator/ imports bull-board, which most installations never load',
    from: /^(?!apps\/api\/src\/operator\/)/,
    never: /^@bull-board\//,
  },
  {
    why: 'only routes, middlewares and presenters import Express, so that the rest works without HTTP',
    from: /^apps\/api\/src\/(admission\/admission|checks\/(submit|await|end)-check|sessions\/(check-photo|settle-session)|webhooks\/(announce-check|deliver-message|send-message|take-deliveries|address-guard|webhook-url))/,
    never: /^express$/,
  },
  {
    why: 'the capture imports only itself and the QR code, because other sites load it as one module',
    from: /^packages\/capture\//,
    only: /^(packages\/capture\/|lean-qr$)/,
  },
  {
    why: 'the parts for browsers import only files that need nothing of Node',
    from: /^packages\/core\/src\/(browser|domain\/(quality|image\/place-face))\.ts$/,
    only: /^packages\/core\/src\/domain\/(quality|image\/place-face)\.ts$/,
  },
  {
    why: 'core imports no app',
    from: /^packages\/core\//,
    never: /^(apps\/|@livegate\/)/,
  },
  {
    why: 'the gateway does not import the worker: each is deployed alone',
    from: /^apps\/api\//,
    never: /^(apps\/worker|@livegate\/worker)/,
  },
  {
    why: 'the worker does not import the gateway: each is deployed alone',
    from: /^apps\/worker\//,
    never: /^(apps\/api|@livegate\/api)/,
  },
  {
    why: 'apps import core only through its declared entries, so that its files can change',
    from: /^(apps|packages\/testing)\//,
    never:
      /^packages\/core\/|^@livegate\/core(?!\/(domain|ports|redis|runtime|shutdown|store-url|telemetry|telemetry-rules)$)/,
  },
  {
    why: 'production code imports no test code, which the images do not ship',
    from: /^(packages\/core|apps)\//,
    never: /^(@livegate\/testing|vitest|packages\/testing)/,
  },
  {
    why: 'production code imports no tool, so that a tool can be removed',
    from: /^(packages\/core|apps)\//,
    never: /^tools\//,
  },
];

interface Source {
  /** Relative to the repository's root. */
  path: string;
  text: string;
  /** Package names, and file paths relative to the root. */
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

function findViolations(among: Source[], { from, only, never }: Rule): string[] {
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
    expect(findViolations(sources, rule)).toEqual([]);
  });

  it('of Redis adapters appear only in composition files: all others get ports as arguments', () => {
    const readers = sources.filter(
      ({ path, text }) =>
        path.startsWith('apps/') && /^import (?!type)[^;]*'@livegate\/core\/redis';/m.test(text),
    );
    const others = readers.map(({ path }) => path).filter((path) => !composition.test(path));
    expect(others).toEqual([queueAdapter]);
  });

  it.each(Object.entries(layers))(
    'in %s never go up a layer, so that the tree reads from the top',
    (base, order) => {
      const folderOf = (path: string) =>
        path.startsWith(`${base}/`) ? path.slice(base.length + 1).split(/[/.]/)[0]! : '';
      const up = sources
        .filter(({ path }) => order.includes(folderOf(path)))
        .flatMap(({ path, imports }) =>
          imports
            .filter((name) => order.indexOf(folderOf(name)) > order.indexOf(folderOf(path)))
            .map((name) => `${path} imports ${name}`),
        );
      expect(up).toEqual([]);
    },
  );

  it('form no cycle, types included: every file can be read before the files that import it', () => {
    expect(findCycle(sources)).toEqual([]);
  });

  it('are declared in their own package.json, so that each package can be installed alone', () => {
    expect(packages.flatMap(findUndeclared)).toEqual([]);
  });

  it('that break a rule or form a cycle are reported', () => {
    const wrong = {
      path: 'packages/core/src/domain/verdict.ts',
      text: '',
      imports: ['ioredis', 'packages/core/src/redis/connect.ts', 'express', '@livegate/api/config'],
    };
    const broken = rules.filter((rule) => findViolations([wrong], rule).length > 0);
    expect(broken.map(({ why }) => why.split(',')[0])).toEqual([
      'domain/ imports only Node and itself',
      'only redis/ imports a Redis client',
      'core imports no app',
    ]);
    const cycle = [
      { path: 'a.ts', text: '', imports: ['b.ts'] },
      { path: 'b.ts', text: '', imports: ['a.ts'] },
    ];
    expect(findCycle(cycle)).toEqual(['a.ts', 'b.ts', 'a.ts']);
  });
});

describe('the tree', () => {
  it('has at most 12 entries per folder, without tests: a larger folder has several subjects', () => {
    const folders = [...packages.map((folder) => join(folder, 'src')), 'tools'];
    const crowded = folders.flatMap(listFolders).filter((folder) => {
      const entries = readdirSync(join(root, folder)).filter(
        (name) => name !== 'dist' && !/\.(test\.ts|d\.mts)$/.test(name),
      );
      return entries.length > 12;
    });
    expect(crowded).toEqual([]);
  });

  it('reads process.env only in main.ts: all other files get their settings as arguments', () => {
    const readers = sources
      .filter(({ path }) => !path.startsWith('packages/testing/'))
      .filter(({ text }) => /process\.env(?!\['\w+'\] =)/.test(text));
    expect(readers.map(({ path }) => path)).toEqual([
      'apps/api/src/main.ts',
      'apps/api/src/credentials/main.ts',
      'apps/worker/src/main.ts',
    ]);
  });
});

/** The files of one import cycle in order, with the first one again at the end; empty if none. */
function findCycle(among: Source[]): string[] {
  const importsOf = new Map(among.map(({ path, imports }) => [path, imports]));
  const done = new Set<string>();
  for (const path of importsOf.keys()) {
    const cycle = follow(path, []);
    if (cycle.length > 0) return cycle;
  }
  return [];

  function follow(path: string, trail: string[]): string[] {
    if (trail.includes(path)) return [...trail.slice(trail.indexOf(path)), path];
    if (done.has(path)) return [];
    for (const next of importsOf.get(path) ?? []) {
      const cycle = follow(next, [...trail, path]);
      if (cycle.length > 0) return cycle;
    }
    done.add(path);
    return [];
  }
}

function findUndeclared(folder: string): string[] {
  const manifest = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8')) as {
    dependencies?: Record<string, string>;
    devDependencies?: Record<string, string>;
    /** Names for files of its own, which begin with #. */
    imports?: Record<string, unknown>;
  };
  // The capture is published as one bundled module, which needs no other package.
  const isBundled = folder === 'packages/capture';
  const dependencies = isBundled ? manifest.devDependencies : manifest.dependencies;
  const declared = new Set(Object.keys({ ...manifest.imports, ...dependencies }));
  const names = sources
    .filter(({ path }) => path.startsWith(`${folder}/`))
    .flatMap(({ imports }) => imports)
    .filter(
      (name) => !/^(node:|apps\/|packages\/|tools\/)/.test(name) && !builtinModules.includes(name),
    )
    .map((name) =>
      (name.startsWith('@') ? name.split('/').slice(0, 2) : name.split('/', 1)).join('/'),
    );
  return [...new Set(names)]
    .filter((name) => !declared.has(name))
    .map((name) => `${folder} imports ${name} without declaring it`);
}

function listFolders(folder: string): string[] {
  const entries = readdirSync(join(root, folder), { withFileTypes: true });
  return [
    folder,
    ...entries
      .filter((entry) => entry.isDirectory() && entry.name !== 'dist')
      .flatMap(({ name }) => listFolders(join(folder, name))),
  ];
}
