import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { JOB_VERSION } from '@livegate/core/domain';
import {
  createRedisCheckQueue,
  createRedisImageStore,
  openRedisAuditSink,
  readAuditStream,
} from '@livegate/core/redis';
import { readWorkerConfig } from '@livegate/worker/config';
import { type AuditLine, parseLine } from '@livegate/worker/jobs/audit/audit-chain';
import type { AuditedCheck } from '@livegate/worker/jobs/audit/audited-check';
import { openWorker } from '@livegate/worker/open-worker';
import { openScheduler } from '@livegate/worker/scheduling/schedule-images';
import { describeAuditSink } from '@livegate/testing';
import { face, groupPhoto, noFace, selfie } from '@livegate/testing/images/photos';
import { truncated } from '@livegate/testing/images/odd-images';
import { schedulerConfig } from '@livegate/testing/models/scheduler-config';
import {
  connectWorker,
  openSandbox,
  redisUrl,
  type Sandbox,
  silentLog,
} from '@livegate/testing/redis/sandbox';
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';
import { openAudit } from '../../tools/replay/read-audit.js';
import { indexImages, replayChecks } from '../../tools/replay/replay-checks.js';
import { verifyChains, type VerifyOptions } from '../../tools/replay/verify-chains.js';
import { openAuditFile } from '../../apps/worker/src/jobs/audit/audit-file.js';

const images = {
  low: await selfie(),
  high: await face('photo 2 left'),
  none: await noFace(),
  many: await groupPhoto(),
  bad: truncated(await selfie()),
};
type Name = keyof typeof images;
const names = Object.keys(images) as Name[];

const pipeline = await openScheduler(
  { ...schedulerConfig, layout: { engines: 1, intraOpThreads: 1, maxBatch: 4 }, concurrency: 8 },
  { log: silentLog, onLost: () => expect.unreachable() },
);
afterAll(() => pipeline.close());

const noOptions: VerifyOptions = { keys: [], heads: [], isFolder: true };

async function createFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'livegate-audit-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** A queue, and workers that audit what they take from it. */
async function setUp(env: Record<string, string>) {
  const sandbox = await openSandbox();
  const config = readWorkerConfig({
    REDIS_URL: redisUrl,
    LIVEGATE_KEY_PREFIX: sandbox.keys.prefix,
    LIVEGATE_MODELS_DIR: schedulerConfig.modelsDir,
    ...env,
  });
  const queue = createRedisCheckQueue({ ...sandbox, resultTtlSeconds: 60 });
  const imageStore = createRedisImageStore({ ...sandbox, ttlSeconds: 60 });
  onTestFinished(async () => {
    await queue.close();
    await sandbox.close();
  });
  async function startWorker() {
    const stopping = new AbortController().signal;
    // Two workers share the pipeline.
    const scheduler = { ...pipeline, concurrency: pipeline.concurrency / 2 };
    const worker = await openWorker(config, { scheduler, stopping, log: silentLog });
    let closing: Promise<void> | undefined;
    const stop = () => (closing ??= worker.close());
    onTestFinished(stop);
    return { ...worker, stop };
  }
  const submit = async (id: string, name: Name) => {
    await imageStore.put(id, images[name]);
    const job = { version: JOB_VERSION, tenant: 'acme', imageBytes: images[name].length };
    await queue.add(id, job);
  };
  const outcomeOf = async (id: string) => (await queue.read(id))?.outcome;
  return { sandbox, config, queue, startWorker, submit, outcomeOf };
}

type SetUp = Awaited<ReturnType<typeof setUp>>;

async function checkAll({ submit, outcomeOf }: SetUp, ids = names.map((name) => name)) {
  await Promise.all(ids.map((id) => submit(id, id)));
  const ended = async () => (await Promise.all(ids.map(outcomeOf))).every((outcome) => outcome);
  await expect.poll(ended, { timeout: 20_000, interval: 20 }).toBe(true);
}

const recordsOf = (lines: AuditLine[]) =>
  new Map(
    lines.flatMap(({ payload }): [string, AuditedCheck][] =>
      payload?.kind === 'check' ? [[payload.id, payload]] : [],
    ),
  );

const read = async (place: string, keyPrefix = '') => {
  const audit = await openAudit(place, { keyPrefix });
  onTestFinished(audit.close);
  return audit;
};

async function writeImages(folder: string): Promise<string> {
  for (const name of names) await writeFile(join(folder, `kept-${name}`), images[name]);
  return folder;
}

describe('the audit of real checks', () => {
  it.each(['file', 'stream'])(
    'in a %s has a record of each, which proves its outcome',
    async (kind) => {
      const folder = await createFolder();
      const product = await setUp({
        LIVEGATE_AUDIT: kind,
        LIVEGATE_AUDIT_DIR: join(folder, 'audit'),
      });
      const worker = await product.startWorker();
      await checkAll(product);
      await worker.stop();

      const place = kind === 'file' ? join(folder, 'audit') : redisUrl;
      const { sources } = await read(place, product.sandbox.keys.prefix);
      const { findings, notes, chains, lines } = verifyChains(sources, noOptions);
      expect({ findings, notes }).toEqual({ findings: [], notes: [] });
      expect(chains).toMatchObject([{ checks: 5, isEnded: true }]);

      const records = recordsOf(lines);
      const outcomes = Object.fromEntries(
        [...records].map(([id, { outcome }]) => [id, outcome.kind]),
      );
      expect(outcomes).toEqual({
        low: 'scored',
        high: 'scored',
        none: 'no_face',
        many: 'too_many_faces',
        bad: 'refused',
      });
      const low = records.get('low')!;
      expect(low).toMatchObject({
        tenant: 'acme',
        image: { bytes: images.low.length },
        outcome: { status: 'LOW', views: [{ logit: expect.any(Number) }, {}] },
        models: pipeline.modelSets().current.models,
        timings: { worker_ms: expect.any(Number) },
      });
      const stored = await product.outcomeOf('low');
      expect(stored).toMatchObject({
        result: {
          verdict: {
            spoofProbability: (low.outcome as { spoof_percentage: number }).spoof_percentage,
          },
        },
      });

      const kept = await indexImages(await writeImages(await createFolder()));
      const open = async () => ({ ...pipeline, close: async () => undefined });
      const options = { config: product.config, tolerance: 0, open };
      const replayed = await replayChecks(lines, kept, options);
      expect(replayed.map(({ state }) => state)).toEqual(names.map(() => 'proven'));
    },
  );

  it('has no image bytes, file name, credential or address', async () => {
    const folder = await createFolder();
    const product = await setUp({ LIVEGATE_AUDIT: 'file', LIVEGATE_AUDIT_DIR: folder });
    const worker = await product.startWorker();
    await checkAll(product, ['low']);
    await worker.stop();
    const [name = ''] = await readdir(folder);
    const text = await readFile(join(folder, name), 'latin1');
    const record = recordsOf([parseLine(text.split('\n')[1])!]).get('low')!;
    expect(Object.keys(record).toSorted()).toEqual(
      'cut_points id image kind models outcome salt settings tenant time timings version'.split(
        ' ',
      ),
    );
    expect(text).not.toContain(images.low.subarray(0, 12).toString('latin1'));
    expect(text).not.toContain(images.low.subarray(300, 330).toString('base64').slice(2, -4));
    expect(text).not.toMatch(/default-|password|127\.0\.0\.1|redis:|\.jpg/);
    // Far less than an image or a face template.
    expect(text.split('\n')[1]!.length).toBeLessThan(2000);
  });

  it('of two workers at once has two sound chains, which together have every check once', async () => {
    const folder = await createFolder();
    const product = await setUp({ LIVEGATE_AUDIT: 'file', LIVEGATE_AUDIT_DIR: folder });
    const workers = [await product.startWorker(), await product.startWorker()];
    const ids = Array.from({ length: 24 }, (_, i) => `check-${i}`);
    await Promise.all(ids.map((id) => product.submit(id, 'low')));
    const ended = async () => (await Promise.all(ids.map(product.outcomeOf))).every((o) => o);
    await expect.poll(ended, { timeout: 20_000 }).toBe(true);
    await Promise.all(workers.map(({ stop }) => stop()));
    const { findings, chains, lines } = verifyChains((await read(folder)).sources, noOptions);
    expect(findings).toEqual([]);
    expect(chains).toHaveLength(2);
    expect(chains.every(({ checks }) => checks > 0)).toBe(true);
    expect(await Promise.all(ids.map(product.outcomeOf))).toEqual(
      ids.map(() => ({ result: expect.anything() as unknown })),
    );
    expect([...recordsOf(lines).keys()].toSorted()).toEqual(ids.toSorted());
  });

  it('can lose the records of one check without breaking, also while a worker appends', async () => {
    const folder = await createFolder();
    const product = await setUp({ LIVEGATE_AUDIT: 'file', LIVEGATE_AUDIT_DIR: folder });
    const worker = await product.startWorker();
    await checkAll(product, ['low', 'none']);
    expect(await (await read(folder)).redact('low')).toBe(1);
    await checkAll(product, ['high']);
    await worker.stop();
    const { sources } = await read(folder);
    const { findings, chains, lines } = verifyChains(sources, noOptions);
    expect(findings).toEqual([]);
    expect(chains).toMatchObject([{ checks: 2, redacted: 1 }]);
    expect([...recordsOf(lines).keys()].toSorted()).toEqual(['high', 'none']);
    expect(sources[0]!.lines.join('')).not.toContain('"low"');
  });

  it('in a stream can lose the records of one check without breaking', async () => {
    const product = await setUp({ LIVEGATE_AUDIT: 'stream' });
    const worker = await product.startWorker();
    await checkAll(product, ['low', 'none']);
    const { prefix } = product.sandbox.keys;
    expect(await (await read(redisUrl, prefix)).redact('low')).toBe(1);
    await worker.stop();
    const { sources } = await read(redisUrl, prefix);
    const { findings, chains, lines } = verifyChains(sources, noOptions);
    expect(findings).toEqual([]);
    expect(chains).toMatchObject([{ checks: 1, redacted: 1, isEnded: true }]);
    expect([...recordsOf(lines).keys()]).toEqual(['none']);
  });
});

/** The smallest disk that a machine can have, if this one may mount it. */
function mountTinyDisk(folder: string): boolean {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16k', 'tmpfs', folder], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

describe('a full disk', () => {
  it.for([
    { required: 'true', end: 'internal_error' },
    { required: 'false', end: 'verdict' },
  ])(
    'ends checks as LIVEGATE_AUDIT_REQUIRED=$required says, and leaves a sound file',
    { timeout: 60_000 },
    async ({ required, end }, { skip }) => {
      const folder = await createFolder();
      if (!mountTinyDisk(folder)) skip('this machine may not mount anything');
      onTestFinished(() => void execFileSync('umount', ['-l', folder]));
      const product = await setUp({
        LIVEGATE_AUDIT: 'file',
        LIVEGATE_AUDIT_DIR: folder,
        LIVEGATE_AUDIT_REQUIRED: required,
      });
      const worker = await product.startWorker();
      const ids = Array.from({ length: 16 }, (_, i) => `check-${i}`);
      await Promise.all(ids.map((id) => product.submit(id, 'low')));
      const listEnds = async () => {
        const outcomes = await Promise.all(ids.map(product.outcomeOf));
        const ended = outcomes.filter((outcome) => outcome !== undefined);
        return ended.map((outcome) => ('error' in outcome ? outcome.error : 'verdict'));
      };
      await expect.poll(listEnds, { timeout: 30_000 }).toHaveLength(ids.length);
      expect(new Set(await listEnds())).toEqual(new Set(['verdict', end]));
      expect(worker.findProblem()).toBe('the audit cannot be written');
      const { sources } = await read(folder);
      expect(sources[0]!.restBytes).toBe(0);
      const { findings, chains } = verifyChains(sources, noOptions);
      expect(findings).toEqual([]);
      expect(chains[0]!.checks).toBeGreaterThan(0);
      expect(chains[0]!.checks).toBeLessThan(ids.length);
      expect((await stat(join(folder, (await readdir(folder))[0]!))).size).toBeLessThan(16_384);
    },
  );

  it('stops the start of a worker', async () => {
    const product = await setUp({ LIVEGATE_AUDIT: 'file', LIVEGATE_AUDIT_DIR: '/dev/null/audit' });
    await expect(product.startWorker()).rejects.toThrow(/ENOTDIR|EEXIST/);
  });
});

describe('the ports of an audit', () => {
  describeAuditSink('Redis stream', async () => {
    const sandbox: Sandbox = await openSandbox();
    const port = openRedisAuditSink({ ...sandbox, maxLines: 1000 }, 'chain');
    const lines = async () =>
      (await readAuditStream(sandbox.redis, sandbox.keys)).map(({ text }) => text);
    return { port: { ...port, lines }, close: sandbox.close };
  });

  describeAuditSink('file', async () => {
    const folder = await createFolder();
    const port = await openAuditFile(folder, 'chain');
    const lines = async () =>
      (await readFile(join(folder, 'chain.jsonl'), 'utf8')).split('\n').slice(0, -1);
    return { port: { ...port, lines }, close: port.close };
  });

  it('append a line once, although ioredis sends a command again after a lost connection', async () => {
    const sandbox = await openSandbox();
    onTestFinished(sandbox.close);
    const redis = connectWorker();
    onTestFinished(() => redis.disconnect());
    const sent: (() => Promise<unknown>)[] = [];
    const repeating = new Proxy(redis, {
      get: (target, name) => {
        if (name !== 'eval') return Reflect.get(target, name) as unknown;
        return async (...args: Parameters<typeof redis.eval>) => {
          sent.push(() => redis.eval(...args));
          await redis.eval(...args);
          return await redis.eval(...args);
        };
      },
    });
    const sink = openRedisAuditSink({ redis: repeating, keys: sandbox.keys, maxLines: 1000 }, 'c');
    await sink.append(['a', 'b']);
    await sink.append(['c']);
    const lines = await readAuditStream(sandbox.redis, sandbox.keys);
    expect(lines.map(({ text }) => text)).toEqual(['a', 'b', 'c']);
    expect(sent).toHaveLength(2);
  });

  it('keep no more lines in a stream than they should, and let it expire', async () => {
    const sandbox = await openSandbox();
    onTestFinished(sandbox.close);
    const sink = openRedisAuditSink({ ...sandbox, maxLines: 1000 }, 'c');
    for (let i = 0; i < 50; i++) {
      await sink.append(Array.from({ length: 64 }, (_, j) => `${i}-${j}`));
    }
    const count = (await readAuditStream(sandbox.redis, sandbox.keys)).length;
    expect(count).toBeGreaterThanOrEqual(1000);
    expect(count).toBeLessThan(1300);
    const page = await readFile('docs/reference/redis-keys.md', 'utf8');
    const documented = {
      ':audit': sandbox.keys.audit,
      ':audit:<chain>': sandbox.keys.auditChain('c'),
    };
    for (const [name, key] of Object.entries(documented)) {
      const [, entry = ''] = page.split(`\n- \`${name}\`:`);
      const maxTtl = Number(/TTL:\s+(\d+)/.exec(entry)?.[1]);
      const ttl = await sandbox.redis.ttl(key);
      expect(ttl).toBeGreaterThan(maxTtl - 60);
      expect(ttl).toBeLessThanOrEqual(maxTtl);
    }
  });
});
