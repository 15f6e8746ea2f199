import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { compare } from './compare.js';
import { evaluate } from './evaluation.js';
import { type Judgement, openServerScorer, type Scorer } from './open-scorer.js';
import { readSamples } from './read-samples.js';
import { writeReport } from './results/report.js';
import { writeEvaluation } from './results/write-evaluation.js';
import { scoreSamples, takeGivenScores } from './score-samples.js';

const facts = {
  model: 'm/1+00000000',
  profile: 'default',
  cutPoints: { moderate: 0.4, high: 0.7 },
  where: 'in process',
};

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'livegate-evaluate-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

async function write(files: Record<string, string>): Promise<string> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(join(folder, 'data', path, '..'), { recursive: true });
    await writeFile(join(folder, 'data', path), text);
  }
  return join(folder, 'data');
}

describe('the folder form', () => {
  it('takes source, label and kind from the path, at any depth', async () => {
    const data = await write({
      'phones/a/bona-fide/1.jpg': '',
      'phones/a/attack/print/2.png': '',
      'b/attack/3.jpeg': '',
      'b/attack/notes.txt': '',
      'loose.jpg': '',
    });
    const { samples, notes } = await readSamples(data);
    expect(samples).toEqual([
      { path: 'b/attack/3.jpeg', label: 'attack', species: 'unspecified', source: 'b', groups: {} },
      {
        path: 'phones/a/attack/print/2.png',
        label: 'attack',
        species: 'print',
        source: 'phones/a',
        groups: {},
      },
      {
        path: 'phones/a/bona-fide/1.jpg',
        label: 'bona-fide',
        species: 'unspecified',
        source: 'phones/a',
        groups: {},
      },
    ]);
    expect(notes).toEqual(['left out, not in SOURCE/bona-fide or SOURCE/attack: 1']);
  });

  it('says what it expects when it finds nothing', async () => {
    const data = await write({ 'live/1.jpg': '' });
    await expect(readSamples(data)).rejects.toThrow('SOURCE/bona-fide or SOURCE/attack[/KIND]');
    await expect(readSamples(join(folder, 'nowhere'))).rejects.toThrow('does not exist');
  });
});

describe('the CSV form', () => {
  it('reads labels, kinds, sources and groups, and skips columns of measurements', async () => {
    const rows = Array.from({ length: 30 }, (_, i) => `img ${i}.jpg,Bona Fide,,"s, 1",photo,${i}`);
    const header = 'path,label,kind,source,framing,width';
    const data = await write({ 'my.csv': [header, ...rows].join('\r\n') });
    const { samples, notes } = await readSamples(join(data, 'my.csv'));
    expect(samples).toHaveLength(30);
    expect(samples[7]).toEqual({
      path: 'img 7.jpg',
      label: 'bona-fide',
      species: 'unspecified',
      source: 's, 1',
      groups: { framing: 'photo' },
    });
    expect(notes).toEqual(['my.csv: width with over 24 values are not groups']);
  });

  it('names the line of a wrong label, and the column that is missing', async () => {
    const data = await write({
      'a.csv': 'path,label\n1.jpg,attack\n2.jpg,fake',
      'b.csv': 'file,label\n1.jpg,attack',
      'c.csv': 'path,label\n1.jpg,attack\n1.jpg,attack',
    });
    const read = (name: string) => readSamples(join(data, name));
    await expect(read('a.csv')).rejects.toThrow('a.csv, line 3: label "fake"');
    await expect(read('b.csv')).rejects.toThrow('has no column path');
    await expect(read('c.csv')).rejects.toThrow('names an image twice');
  });

  it('takes the mean of logit columns in place of a model', async () => {
    const data = await write({ 'l.csv': 'path,label,x,y\n1.jpg,attack,1,3\n2.jpg,attack,1,' });
    await expect(readSamples(join(data, 'l.csv'), ['x', 'y'])).rejects.toThrow('line 3');
    const { samples } = await readSamples(join(data, 'l.csv'), ['x']);
    expect(samples.map(({ logit }) => logit)).toEqual([1, 1]);
    const [judged] = takeGivenScores([{ ...samples[0]!, logit: 2 }]);
    expect(judged!.judgement.score).toBeCloseTo(1 / (1 + Math.exp(-2)), 12);
  });
});

/** Scores an image by its text, such as `0.3`; a text such as `no_face` is the outcome. */
function createTextScorer(onImage: (text: string) => void = () => {}): Scorer {
  return {
    facts,
    concurrency: 256,
    judge(image): Promise<Judgement> {
      const text = Buffer.from(image).toString();
      onImage(text);
      const score = Number(text);
      const rest = {
        quality: score > 0.5 ? ['image_too_blurry'] : [],
        ms: 5,
        stages: { detect: 2 },
      };
      if (Number.isNaN(score)) return Promise.resolve({ outcome: text, ...rest });
      return Promise.resolve({ outcome: 'scored', score, logit: score, ...rest });
    },
    close: () => Promise.resolve(),
  };
}

const options = () => ({ folder: join(folder, 'out'), concurrency: 1, say: () => {} });

const tenImages = Object.fromEntries(
  Array.from({ length: 10 }, (_, i) => [`s/${i % 2 ? 'attack' : 'bona-fide'}/${i}.jpg`, `0.${i}`]),
);

describe('scoring', () => {
  /** Dies at the image after `count` others. */
  function createDyingScorer(count: number): Scorer {
    let left = count;
    return createTextScorer(() => {
      if (left-- === 0) throw new Error('killed');
    });
  }

  it('continues a run that was killed twice, in the middle of a line', async () => {
    const data = await readSamples(await write(tenImages));
    const dieAfter = (count: number) => scoreSamples(data, createDyingScorer(count), options());
    await expect(dieAfter(2)).rejects.toThrow('killed');
    const [journal] = await readdir(join(folder, 'out'));
    await writeFile(join(folder, 'out', journal!), '{"path":"s/att', { flag: 'a' });
    await expect(dieAfter(2)).rejects.toThrow('killed');

    const seen: string[] = [];
    const judged = await scoreSamples(
      data,
      createTextScorer((text) => seen.push(text)),
      options(),
    );
    expect(seen).toHaveLength(6);
    expect(judged.map(({ path }) => path)).toEqual(data.samples.map(({ path }) => path));
    const scores = judged.map(({ path, judgement }) => `${path} ${judgement.score}`);
    expect(scores).toContain('s/attack/1.jpg 0.1');
    expect(scores).toContain('s/attack/9.jpg 0.9');
    // A complete run leaves nothing that a later one could mistake for its own.
    expect(await readdir(join(folder, 'out'))).toEqual([]);
  });

  it('judges an image again that changed after a killed run', async () => {
    const root = await write(tenImages);
    const data = await readSamples(root);
    await expect(scoreSamples(data, createDyingScorer(9), options())).rejects.toThrow('killed');
    await writeFile(join(root, 's/attack/1.jpg'), '0.7');
    const judged = await scoreSamples(data, createTextScorer(), options());
    const changed = judged.find(({ path }) => path === 's/attack/1.jpg');
    expect(changed!.judgement.score).toBe(0.7);
  });

  it('takes no answer of another model from the journal', async () => {
    const data = await readSamples(await write(tenImages));
    await expect(scoreSamples(data, createDyingScorer(4), options())).rejects.toThrow('killed');
    const seen: string[] = [];
    const other = createTextScorer((text) => seen.push(text));
    other.facts = { ...facts, model: 'm/2+11111111' };
    await scoreSamples(data, other, { ...options(), concurrency: 3 });
    expect(seen).toHaveLength(10);
  });

  it('gives the scorer no more images at once than it takes', async () => {
    const data = await readSamples(await write(tenImages));
    const scorer = createTextScorer();
    let waiting = 0;
    let release = () => {};
    const released = new Promise<void>((resolve) => (release = resolve));
    const holding: Scorer = {
      ...scorer,
      concurrency: 4,
      async judge(image) {
        waiting++;
        await released;
        return await scorer.judge(image);
      },
    };
    const scored = scoreSamples(data, holding, { ...options(), concurrency: 8 });
    await expect.poll(() => waiting).toBe(4);
    for (let turn = 0; turn < 50; turn++) await setImmediate();
    expect(waiting).toBe(4);
    release();
    await expect(scored).resolves.toHaveLength(10);
  });
});

describe('an evaluation', () => {
  async function evaluateFiles(files: Record<string, string>) {
    const data = await readSamples(await write(files));
    const judged = await scoreSamples(data, createTextScorer(), options());
    return evaluate(judged, { data, system: facts, bootstrap: { replicates: 200, seed: 1 } });
  }

  it('measures each species against all bona fide images, and counts failures apart', async () => {
    const evaluation = await evaluateFiles({
      's/bona-fide/1.jpg': '0.1',
      's/bona-fide/2.jpg': 'no_face',
      't/bona-fide/3.jpg': '0.8',
      's/attack/print/4.jpg': '0.9',
      't/attack/print/5.jpg': '0.2',
      't/attack/mask/6.jpg': '0.95',
      't/attack/mask/7.jpg': 'image_dimensions_exceeded',
    });
    const { kind, source, quality } = evaluation.groups;
    expect(kind!['print']!.scored).toEqual({ attack: 2, 'bona-fide': 2 });
    expect(kind!['print']!.figures.apcer_high.value).toBe(0.5);
    expect(kind!['mask']!.figures.apcer_high.value).toBe(0);
    expect(evaluation.all.figures.worst_apcer_high.value).toBe(0.5);
    expect(evaluation.all.figures.bpnrr.value).toBeCloseTo(1 / 3, 12);
    expect(evaluation.all.figures.apnrr.value).toBe(0);
    expect(evaluation.all.figures.attack_acquisition_failure.value).toBe(0.25);
    expect(evaluation.outcomes['attack']).toEqual({ scored: 3, image_dimensions_exceeded: 1 });
    expect(Object.keys(source!)).toEqual(['s', 't']);
    expect(quality!['image_too_blurry']!.scored).toEqual({ attack: 2, 'bona-fide': 1 });
    expect(quality!['none']!.figures.bpcer_high.value).toBe(0);
    expect(evaluation.latency).toMatchObject({
      detect: { p50: 2 },
      'until the answer': { p99: 5 },
    });
  });

  it('counts faces where the data say how many there are', async () => {
    const root = await write({
      'detection.csv': 'path,faces\na.jpg,none\nb.jpg,one\nc.jpg,many\nd.jpg,one\ne.jpg,odd',
      'a.jpg': 'no_face',
      'b.jpg': '0.3',
      'c.jpg': '0.4',
      'd.jpg': 'invalid_image',
    });
    const data = await readSamples(root);
    const judged = await scoreSamples(data, createTextScorer(), options());
    const bootstrap = { replicates: 200, seed: 1 };
    const { face_count } = evaluate(judged, { data, system: facts, bootstrap });
    expect(face_count.map(({ path, right }) => `${path} ${right}`)).toEqual([
      'a.jpg true',
      'b.jpg true',
      'c.jpg false',
    ]);
  });

  it('writes JSON, CSV and one page without script or other files', async () => {
    const evaluation = await evaluateFiles({
      's/bona-fide/1.jpg': '0.1',
      's/attack/<img src=x>/2.jpg': '0.2',
      's/attack/=1+1/3.jpg': '0.9',
    });
    await writeEvaluation(evaluation, folder);
    const read = (name: string) => readFile(join(folder, name), 'utf8');
    expect(JSON.parse(await read('evaluation.json'))).toEqual(
      JSON.parse(JSON.stringify(evaluation)),
    );
    const figures = await read('figures.csv');
    expect(figures).toContain('all,,apcer_high,0.5,');
    // A spreadsheet would run a cell that begins with "=".
    expect(figures).toContain("kind,'=1+1,");
    const page = await read('report.html');
    expect(page).toContain('&lt;img src=x&gt;');
    expect(page).not.toMatch(/<img|<script|https?:|url\(/);
    expect(page).toContain("default-src 'none'");
    expect(page.match(/<svg/g)).toHaveLength(3);
  });

  it('draws a page for data without one of the classes', async () => {
    const page = writeReport(await evaluateFiles({ 's/attack/1.jpg': '0.2' }));
    expect(page).not.toContain('NaN');
  });

  it('is compared with another of the same images, and refused with others', async () => {
    const files = { 's/bona-fide/1.jpg': '0.1', 's/attack/2.jpg': '0.2', 't/attack/3.jpg': '0.9' };
    const a = await evaluateFiles(files);
    const b = structuredClone(a);
    b.images.find(({ path }) => path === 's/attack/2.jpg')!.score = 0.8;
    const bootstrap = { replicates: 200, seed: 1 };
    const comparison = compare(a, b, bootstrap);
    expect(comparison.images).toEqual({ matched: 3, scored_by_both: 3, only_a: 0, only_b: 0 });
    expect(comparison.differences.apcer_high.value).toBe(-0.5);
    expect(comparison.mcnemar).toContainEqual({
      cut_point: 'high',
      label: 'attack',
      only_a_wrong: 1,
      only_b_wrong: 0,
      p: 1,
    });
    b.images[0]!.sha256 = 'other';
    expect(() => compare(a, b, bootstrap)).toThrow('another content or label');
    b.images = [];
    expect(() => compare(a, b, bootstrap)).toThrow('no image in common');
  });
});

describe('a server', () => {
  let server: Server;

  async function serve(listener: RequestListener): Promise<string> {
    server = createServer((request, response) => {
      response.setHeader('content-type', 'application/json');
      if (request.url !== '/v1/models') return listener(request, response);
      const thresholds = { moderate: 0.3, high: 0.6 };
      response.end(JSON.stringify({ model_sets: [{ livegate_model: 'm/1+0', thresholds }] }));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });

  const credentials = { username: 'u', password: 'p', apiKey: 'k' };

  it('is asked for its cut points, and its answers are read with quality and timings', async () => {
    const url = await serve((request, response) => {
      request.resume();
      expect(request.headers['x-api-key']).toBe('k');
      response.setHeader('livegate-model', 'm/1+0');
      response.setHeader('livegate-quality', 'face_too_close, image_too_dark');
      response.setHeader('server-timing', 'decode;dur=3.5, total;dur=20');
      const result = { spoof_percentage: 0.25, status: 'LOW' };
      response.end(JSON.stringify({ status: 'success', result }));
    });
    const scorer = await openServerScorer({ url: `${url}/`, ...credentials });
    expect(scorer.facts.cutPoints).toEqual({ moderate: 0.3, high: 0.6 });
    expect(await scorer.judge(Buffer.from('x'))).toMatchObject({
      outcome: 'scored',
      score: 0.25,
      quality: ['face_too_close', 'image_too_dark'],
      stages: { decode: 3.5, total: 20 },
    });
  });

  it('that is busy is asked again, and one that refuses the image is not', async () => {
    const answers = [
      { status: 503, body: { status: 'failed', error_code: 'overloaded' } },
      { status: 400, body: { status: 'failed', error_code: 'invalid_image' } },
      {
        status: 200,
        body: { status: 'failed', result: { spoof_percentage: 1, status: 'face not detected' } },
      },
    ];
    const url = await serve((request, response) => {
      request.resume();
      const { status, body } = answers.shift()!;
      response.writeHead(status, { 'retry-after': '0' }).end(JSON.stringify(body));
    });
    const scorer = await openServerScorer({ url, ...credentials });
    expect((await scorer.judge(Buffer.from('x'))).outcome).toBe('invalid_image');
    expect((await scorer.judge(Buffer.from('y'))).outcome).toBe('no_face');
  });

  it('ends the evaluation when it refuses the credentials or changes its model', async () => {
    const answers = [
      { status: 401, headers: {} },
      { status: 200, headers: { 'livegate-model': 'm/2+1' } },
    ];
    const url = await serve((request, response) => {
      request.resume();
      const { status, headers } = answers.shift()!;
      response.writeHead(status, headers).end('{"error_message":"wrong credentials"}');
    });
    const scorer = await openServerScorer({ url, ...credentials });
    await expect(scorer.judge(Buffer.from('x'))).rejects.toThrow('wrong credentials');
    await expect(scorer.judge(Buffer.from('x'))).rejects.toThrow('changed its model');
  });
});
