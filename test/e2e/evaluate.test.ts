import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { CalibrationFile } from '../../tools/evaluate/calibrate.js';
import type { Evaluation } from '../../tools/evaluate/evaluation.js';
import { face, faceNames, greySquare, groupPhoto } from '@livegate/testing/images/photos';
import { unsupportedImages } from '@livegate/testing/images/not-jpeg-or-png';

const run = promisify(execFile);
const command = 'tools/dist/evaluate/main.js';

/** Each command starts the models in a process of its own. */
const timeoutMs = 180_000;

let folder: string;
let data: string;
let local: Evaluation;

/** Eight bona fide faces, half of them labelled as attacks; the labels only test the arithmetic. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'livegate-evaluate-'));
  data = join(folder, 'data');
  const faces = faceNames.map((name, i): [string, Promise<Buffer>] => [
    `${i % 4 < 2 ? 'a' : 'b'}/${i % 2 ? 'attack/print' : 'bona-fide'}/${i}.jpg`,
    face(name),
  ]);
  const { png } = await greySquare();
  const files = [
    ...faces,
    ['a/bona-fide/group.jpg', groupPhoto()] as const,
    ['a/attack/print/grey.png', Promise.resolve(png)] as const,
    ['b/attack/screen/other.gif', Promise.resolve(unsupportedImages.gif)] as const,
  ];
  for (const [path, bytes] of files) {
    await mkdir(dirname(join(data, path)), { recursive: true });
    await writeFile(join(data, path), await bytes);
  }
  local = await evaluate('local');
}, timeoutMs);
afterAll(() => rm(folder, { recursive: true }));

async function evaluate(out: string, ...args: string[]): Promise<Evaluation> {
  const to = join(folder, out);
  await run('node', [command, data, '--out', to, '--replicates', '200', ...args]);
  return JSON.parse(await readFile(join(to, 'evaluation.json'), 'utf8')) as Evaluation;
}

describe('npm run evaluate', { timeout: timeoutMs }, () => {
  it('gives the same scores in process and from a running server', async () => {
    const server = await evaluate('server', '--url', inject('url'), '--concurrency', '4');
    const { settings, ...system } = local.system;
    expect(settings).toMatch(/^[0-9a-f]{8}$/);
    expect(server.system).toEqual({ ...system, where: inject('url') });
    expect(server.images).toHaveLength(11);
    // Only the gateway knows the types that it does not take.
    const describeImages = ({ images }: Evaluation) =>
      images
        .filter(({ path }) => !path.endsWith('.gif'))
        .map(({ path, outcome, score }) => ({ path, outcome, score: score?.toFixed(4) }));
    expect(describeImages(server)).toEqual(describeImages(local));
    expect(local.outcomes.attack).toEqual({ scored: 4, no_face: 1, invalid_image: 1 });
    expect(server.outcomes).toEqual({
      attack: { scored: 4, no_face: 1, unsupported_image_type: 1 },
      'bona-fide': { scored: 4, too_many_faces: 1 },
    });
    const files = ['local', 'server'].map((out) => join(folder, out, 'evaluation.json'));
    const { stdout } = await run('node', [command, '--compare', ...files, '--replicates', '200']);
    expect(stdout).toContain('11 images in both files, 8 scored by both');
  });

  it('continues after it was killed', async () => {
    const out = join(folder, 'killed');
    const child = spawn('node', [command, data, '--out', out], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    for await (const chunk of child.stderr) {
      if (/\d+\/11 images/.test(String(chunk))) break;
    }
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    expect(await readdir(out)).toEqual([expect.stringMatching(/^unfinished-/)]);

    const args = [command, data, '--out', out, '--replicates', '200'];
    const { stderr } = await run('node', args);
    expect(stderr).toMatch(/continuing: \d+ images were judged before/);
    const text = await readFile(join(out, 'evaluation.json'), 'utf8');
    const continued = JSON.parse(text) as Evaluation;
    const scores = ({ images }: Evaluation) => images.map(({ path, score }) => ({ path, score }));
    expect(scores(continued)).toEqual(scores(local));
    expect(continued.all).toEqual(local.all);
  });

  it('says what is wrong with its arguments', async () => {
    const refused = run('node', [command, data, '--out', folder, '--replicates', '5']);
    await expect(refused).rejects.toThrow('--replicates must be above 99');
    await expect(run('node', [command, '--compare', 'a.json'])).rejects.toThrow('two files');
  });
});

describe('npm run calibrate', { timeout: timeoutMs }, () => {
  it('writes a calibration of the models in force', async () => {
    // The faces are all bona fide. Labelled by their rank, they give a fit with a positive slope.
    const ranked = local.images
      .filter(({ score }) => score !== undefined)
      .toSorted((a, b) => a.score! - b.score!);
    const rows = ranked.map(({ path }, i) => {
      return `${path},${i < ranked.length / 2 ? 'bona-fide' : 'attack'},${i % 2 ? 'odd' : 'even'}`;
    });
    const csv = join(data, 'ranked.csv');
    await writeFile(csv, ['path,label,source', ...rows].join('\n'));
    const out = join(folder, 'calibration');
    const args = [command, '--calibrate', csv, '--out', out, '--replicates', '200'];
    const { stdout } = await run('node', args);
    expect(stdout).toContain('4 attacks, 4 bona fide images, 2 sources');
    const text = await readFile(join(out, 'calibration.json'), 'utf8');
    expect(JSON.parse(text) as CalibrationFile).toMatchObject({
      format: 'livegate-calibration/1',
      model: local.system.model,
      data: { name: 'ranked.csv', sources: ['even', 'odd'], bona_fide: 4, attacks: 4 },
    });
  });

  it('needs unrounded logits, and both classes', async () => {
    const calibrate = (...args: string[]) => run('node', [command, '--calibrate', ...args]);
    await expect(calibrate(data, '--url', inject('url'))).rejects.toThrow('leave out --url');
    const csv = join(folder, 'attacks.csv');
    await writeFile(csv, 'path,label,source,l\n1.jpg,attack,a,1\n2.jpg,attack,b,2');
    const refused = calibrate(csv, '--logits', 'l', '--out', folder);
    await expect(refused).rejects.toThrow('a fit needs both classes');
  });
});
