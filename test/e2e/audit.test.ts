import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { extendChain, parseLine, startChain } from '@livegate/worker/jobs/audit/audit-chain';
import type { AuditedCheck } from '@livegate/worker/jobs/audit/audited-check';
import { loadModels } from '@livegate/worker/models/load-models';
import { describeModels } from '@livegate/core/domain';
import { face, groupPhoto, noFace, selfie } from '@livegate/testing/images/photos';
import { writeTinyModels } from '@livegate/testing/models/tiny-pipeline';
import { ask, postImage } from '@livegate/testing/product/post-image';
import {
  createEnv,
  type Env,
  startApi,
  startWorker,
  untilReady,
} from '@livegate/testing/product/processes';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';

const root = resolve(import.meta.dirname, '../..');
const eventually = { timeout: 20_000, interval: 50 };

/** What one gateway and two audited workers leave, of which the second one is killed. */
interface Left {
  folder: string;
  audit: string;
  kept: string;
  heads: string;
  env: Env;
  /** The answers by image. */
  answers: Record<string, { id: string; status: string; score: number }>;
}

let left: Left;
const closers: (() => Promise<unknown>)[] = [];

async function createFolder(): Promise<string> {
  return await mkdtemp(join(tmpdir(), 'livegate-audit-'));
}

async function leave(): Promise<Left> {
  const folder = await createFolder();
  closers.push(() => rm(folder, { recursive: true }));
  const [audit, kept] = [join(folder, 'audit'), join(folder, 'kept')];
  const keyFile = join(folder, 'key');
  await writeFile(keyFile, `${'0123456789abcdef'.repeat(4)}\n`);
  const env = createEnv({
    LIVEGATE_AUDIT: 'file',
    LIVEGATE_AUDIT_DIR: audit,
    LIVEGATE_AUDIT_KEY_FILE: keyFile,
  });
  const api = await startApi(env);
  closers.push(() => api.stop('SIGKILL'));
  const first = await startWorker(env);
  closers.push(() => first.stop('SIGKILL'));
  await untilReady(api.url);
  const images = {
    low: await selfie(),
    high: await face('photo 2 left'),
    none: await noFace(),
    many: await groupPhoto(),
  };
  await mkdir(kept);
  const answers: Left['answers'] = {};
  const send = async ([name, image]: [string, Buffer]) => {
    await writeFile(join(kept, `customer-${name}.bin`), image);
    const { requestId: id, body } = await postImage(api.url, image);
    const { status, spoof_percentage: score } = body.result;
    answers[name] = { id, status, score };
  };
  const [low, ...others] = Object.entries(images);
  await send(low!);
  expect(await first.stop()).toBe(0);
  await untilReady(api.url, 503);
  const second = await startWorker(env);
  closers.push(() => second.stop('SIGKILL'));
  await untilReady(api.url);
  for (const each of others) await send(each);
  await second.stop('SIGKILL');
  await api.stop();
  const heads = join(folder, 'heads.jsonl');
  const logged = first.log.filter(({ msg }) => msg === 'audit head');
  expect(logged).toHaveLength(2);
  await writeFile(heads, logged.map((line) => `${JSON.stringify(line)}\n`).join(''));
  return { folder, audit, kept, heads, env, answers };
}

beforeAll(async () => {
  left = await leave();
}, 120_000);
afterAll(async () => {
  for (const close of closers.toReversed()) await close();
});

/** Runs the command as `npm run replay` does. */
async function replay(args: string[], change: Env = {}) {
  const env = { ...left.env, ...change };
  const child = spawn(process.execPath, ['tools/dist/replay/main.js', ...args], { cwd: root, env });
  const [out, error] = [text(child.stdout), text(child.stderr)];
  const [code] = (await once(child, 'exit')) as [number];
  return { code, out: await out, error: await error };
}

/** A calibration file for the shipped models, with constants of its own. */
async function otherCalibration(): Promise<object> {
  const { facts } = await loadModels(resolve(root, '.data/models'), 'default');
  const cuts = { moderate: 0.5, high: 0.6 };
  return {
    format: 'livegate-calibration/1',
    profile: 'default',
    model: describeModels(facts.models),
    method: 'platt',
    platt: { slope: 2, intercept: 1 },
    cut_points: { soft: cuts, regular: cuts, hardened: cuts },
    data: {},
    figures: {},
  };
}

/** A copy of the audit in which the lines of the file with so many checks are replaced. */
async function forge(checks: number, change: (lines: string[]) => string[]): Promise<string> {
  const folder = await createFolder();
  onTestFinished(() => rm(folder, { recursive: true }));
  await cp(left.audit, folder, { recursive: true });
  for (const name of await readdir(folder)) {
    const lines = (await readFile(join(folder, name), 'utf8')).split('\n').slice(0, -1);
    if (lines.filter((line) => line.includes('"kind":"check"')).length !== checks) continue;
    await writeFile(
      join(folder, name),
      change(lines)
        .map((line) => `${line}\n`)
        .join(''),
    );
  }
  return folder;
}

describe('npm run replay', () => {
  it('proves the verdicts of a stopped and of a killed worker from the kept images', async () => {
    const { code, out } = await replay([left.audit, left.kept, '--heads', left.heads, '--json']);
    expect(code).toBe(0);
    const report = JSON.parse(out) as {
      findings: object[];
      chains: { isEnded: boolean; checks: number }[];
      checks: { id: string; state: string; recorded: string; difference?: number }[];
    };
    expect(report.findings).toEqual([]);
    expect(report.chains).toMatchObject([
      { checks: 1, isEnded: true },
      { checks: 3, isEnded: false },
    ]);
    const { low, high, none, many } = left.answers;
    expect(report.checks).toMatchObject(
      [low, high, none, many].map((answer) => ({ id: answer!.id, state: 'proven' })),
    );
    expect(report.checks.map(({ recorded }) => recorded)).toEqual([
      `LOW ${low!.score}`,
      `HIGH ${high!.score}`,
      'no_face',
      'too_many_faces',
    ]);
    // The same machine computes the same numbers.
    expect(report.checks.map(({ difference }) => difference ?? 0)).toEqual([0, 0, 0, 0]);
  });

  it('prints a table, and says that the killed worker left no end', async () => {
    const { code, out } = await replay([left.audit, left.kept]);
    expect(code).toBe(0);
    expect(out).toMatch(/note: \S+ has no end/);
    expect(out).toMatch(/Every line is as it was written/);
    expect(out).toMatch(/4 proven/);
  });

  it('finds a forged score, even if its forger has made the chain again without the key', async () => {
    const forged = await forge(1, (lines) => {
      const payloads = lines.map((line) => parseLine(line)!.payload!);
      const check = payloads[1] as AuditedCheck;
      Object.assign(check.outcome, {
        spoof_probability: 0.9,
        spoof_percentage: 0.9,
        status: 'HIGH',
      });
      return extendChain(startChain(parseLine(lines[0])!.chain), payloads).lines;
    });
    const withKey = await replay([forged, left.kept]);
    expect(withKey).toMatchObject({ code: 1, out: expect.stringMatching('without a key') });
    // The image itself contradicts the record, whatever the chain says.
    expect(withKey.out).toMatch(/different +HIGH 0\.9 +LOW/);
    const byHead = await replay([forged, '--heads', left.heads]);
    expect(byHead).toMatchObject({
      code: 1,
      out: expect.stringMatching('changed: .*in the kept heads'),
    });
  });

  it('names the first line that was changed, and the line before which one was removed', async () => {
    const changed = await forge(3, (lines) => lines.map((line) => line.replace('HIGH', 'LOW')));
    expect(await replay([changed])).toMatchObject({
      code: 1,
      out: expect.stringMatching(/FOUND changed: \S+, line 2: its payload does not match/),
    });
    const removed = await forge(3, (lines) => lines.toSpliced(2, 1));
    expect(await replay([removed])).toMatchObject({
      code: 1,
      out: expect.stringMatching(/FOUND removed: \S+, line 3: 1 lines are missing/),
    });
    const gone = await forge(1, () => []);
    expect(await replay([gone, '--heads', left.heads])).toMatchObject({
      code: 1,
      out: expect.stringMatching(/FOUND removed: .* is not here/),
    });
  });

  it('finds lines that were cut off at the end only by a kept head', async () => {
    const cut = await forge(3, (lines) => lines.slice(0, 2));
    const heads = join(left.folder, 'later-heads.jsonl');
    const printed = await replay([left.audit, '--head']);
    expect(printed.code).toBe(0);
    await writeFile(heads, printed.out);
    expect(await replay([cut])).toMatchObject({ code: 0 });
    expect(await replay([cut, '--heads', heads])).toMatchObject({
      code: 1,
      out: expect.stringMatching(/FOUND cut off/),
    });
  });

  it('blanks the record of a check for good, and proves the others', async () => {
    const copy = await forge(0, (lines) => lines);
    const { id } = left.answers['high']!;
    expect(await replay([copy, '--redact', id])).toMatchObject({ code: 0 });
    expect(await replay([copy, '--redact', id])).toMatchObject({ code: 2 });
    const texts = await Promise.all(
      (await readdir(copy)).map((name) => readFile(join(copy, name), 'utf8')),
    );
    expect(texts.join('')).not.toContain(id);
    const { code, out } = await replay([copy, left.kept, '--heads', left.heads]);
    expect(code).toBe(0);
    expect(out).toMatch(/3 proven/);
  });

  it('says what it cannot prove: no image, other models, no key, no audit', async () => {
    const empty = await createFolder();
    onTestFinished(() => rm(empty, { recursive: true }));
    await cp(join(left.kept, 'customer-low.bin'), join(empty, 'customer-low.bin'));
    expect(await replay([left.audit, empty])).toMatchObject({
      code: 1,
      out: expect.stringMatching(/1 proven, 3 no image/),
    });
    expect(await replay([left.audit, empty, '--partial'])).toMatchObject({ code: 0 });

    const tiny = await writeTinyModels({});
    onTestFinished(() => rm(tiny, { recursive: true }));
    const others = await replay([left.audit, left.kept], { LIVEGATE_MODELS_DIR: tiny });
    expect(others).toMatchObject({ code: 2, out: expect.stringMatching(/4 other models/) });
    expect(others.out).toMatch(/fr-liveness\/\S+ +tiny-detect/);

    const calibration = join(empty, 'calibration.json');
    await writeFile(calibration, JSON.stringify(await otherCalibration()));
    const recalibrated = await replay([left.audit, left.kept], {
      LIVEGATE_CALIBRATION_FILE: calibration,
    });
    expect(recalibrated).toMatchObject({
      code: 2,
      out: expect.stringMatching(/4 other calibration/),
    });

    expect(await replay([left.audit], { LIVEGATE_AUDIT_KEY_FILE: '' })).toMatchObject({
      code: 2,
      error: expect.stringMatching(/signed with the key [0-9a-f]{8}: give it with --key-file/),
    });
    expect(await replay(['/nowhere'])).toMatchObject({ code: 2 });
    expect(await replay([])).toMatchObject({
      code: 2,
      error: expect.stringMatching('name an audit'),
    });
  });
});

it('a stream has the records of a real product, until --redact blanks them', async () => {
  const env = createEnv({ LIVEGATE_AUDIT: 'stream' });
  const [api, worker] = await Promise.all([startApi(env), startWorker(env)]);
  onTestFinished(async () => {
    await Promise.all([api.stop('SIGKILL'), worker.stop('SIGKILL')]);
  });
  await untilReady(api.url);
  const { requestId } = await postImage(api.url, await selfie());
  const unsigned = { ...env, LIVEGATE_AUDIT_KEY_FILE: '' };
  await expect
    .poll(async () => (await replay(['stream', left.kept], unsigned)).out, eventually)
    .toMatch(new RegExp(`${requestId} +proven`));
  expect(await replay(['stream', '--redact', requestId], unsigned)).toMatchObject({ code: 0 });
  const { code, out } = await replay([env['REDIS_URL']!], unsigned);
  expect({ code, redacted: /\n +\S+ +2 +0 +1 +no/.test(out) }).toEqual({ code: 0, redacted: true });
});

it('a worker killed during its checks leaves a sound file with every verdict that it stored', async () => {
  const audit = await createFolder();
  onTestFinished(() => rm(audit, { recursive: true }));
  const env = createEnv({ LIVEGATE_AUDIT: 'file', LIVEGATE_AUDIT_DIR: audit });
  const [api, worker] = await Promise.all([startApi(env), startWorker(env)]);
  onTestFinished(async () => {
    await Promise.all([api.stop('SIGKILL'), worker.stop('SIGKILL')]);
  });
  await untilReady(api.url);
  const image = await selfie();
  const submit = async () =>
    (await postImage(api.url, image, { Prefer: 'respond-async' })).requestId;
  const ids = await Promise.all(Array.from({ length: 40 }, submit));
  const [file = ''] = await readdir(audit);
  const readAudit = () => readFile(join(audit, file), 'utf8');
  await expect
    .poll(async () => (await readAudit()).split('\n').length, eventually)
    .toBeGreaterThan(5);
  await worker.stop('SIGKILL');

  const unsigned = { ...env, LIVEGATE_AUDIT_KEY_FILE: '' };
  expect(await replay([audit], unsigned)).toMatchObject({ code: 0 });
  const states = await Promise.all(ids.map((id) => ask(`${api.url}/v1/jobs/${id}`)));
  const stored = ids.filter((_, i) => states[i]!.body['status'] === 'succeeded');
  expect(stored.length).toBeGreaterThan(0);
  expect(stored.length).toBeLessThan(ids.length);
  const written = await readAudit();
  expect(stored.filter((id) => !written.includes(id))).toEqual([]);
});
