// Judges the samples one by one. Each answer is appended to a journal at once, so that a run that
// was killed continues where it stopped.
import { createHash } from 'node:crypto';
import { appendFileSync, mkdirSync } from 'node:fs';
import { readFile, rm, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { sigmoid } from '@livegate/worker/inference/score-faces';
import type { Judgement, Scorer, ScorerFacts } from './open-scorer.js';
import type { DataSet, Sample } from './read-samples.js';

/** A sample with the answer about it. */
export interface Judged extends Sample {
  judgement: Judgement;
  /** Hex SHA-256 of the file; absent where the data gave the score. */
  sha256?: string;
}

export interface ScoreOptions {
  /** Where the journal is kept until the run is complete. */
  folder: string;
  /** Images in work at once. With more than one, latencies are those under load. */
  concurrency: number;
  say: (line: string) => void;
}

interface JournalLine {
  path: string;
  /** Size and time of the file: a changed file is judged again. */
  bytes: number;
  modifiedMs: number;
  sha256: string;
  judgement: Judgement;
}

/** The samples in their order, each with its answer. Rejects if the scorer cannot go on. */
export async function scoreSamples(
  data: DataSet,
  scorer: Scorer,
  { folder, concurrency, say }: ScoreOptions,
): Promise<Judged[]> {
  const journal = await openJournal(folder, { facts: scorer.facts, data: data.name });
  if (journal.known > 0) say(`continuing: ${journal.known} images were judged before`);
  const judged: Judged[] = [];
  const progress = createProgress(data.samples.length, say);
  let next = 0;
  await Promise.all(Array.from({ length: Math.min(concurrency, scorer.concurrency) }, takeSamples));
  await journal.remove();
  return judged;

  async function takeSamples(): Promise<void> {
    while (next < data.samples.length) {
      const at = next++;
      const sample = data.samples[at]!;
      const path = join(data.folder, sample.path);
      const { bytes, modifiedMs } = await readStamp(path);
      const known = journal.find({ path: sample.path, bytes, modifiedMs });
      const line = known ?? (await judge(path, { path: sample.path, bytes, modifiedMs }));
      if (!known) journal.append(line);
      judged[at] = { ...sample, judgement: line.judgement, sha256: line.sha256 };
      progress.advance(known === undefined);
    }
  }

  async function judge(file: string, stamp: Stamp): Promise<JournalLine> {
    const image = await readFile(file);
    const sha256 = createHash('sha256').update(image).digest('hex');
    return { ...stamp, sha256, judgement: await scorer.judge(image) };
  }
}

/** The answers that the data already have, from a column of scores or logits. */
export function takeGivenScores(samples: Sample[]): Judged[] {
  return samples.map((sample) => {
    if (sample.logit === undefined) throw new Error(`${sample.path} has no score`);
    const { logit } = sample;
    const judgement = { outcome: 'scored', score: sigmoid(logit), logit };
    return { ...sample, judgement: { ...judgement, quality: [], ms: NaN, stages: {} } };
  });
}

type Stamp = Pick<JournalLine, 'path' | 'bytes' | 'modifiedMs'>;

async function readStamp(path: string): Promise<{ bytes: number; modifiedMs: number }> {
  const { size, mtimeMs } = await stat(path);
  return { bytes: size, modifiedMs: mtimeMs };
}

/** One journal for each combination of data and models, so that no answer of another gets in. */
async function openJournal(folder: string, key: { facts: ScorerFacts; data: string }) {
  mkdirSync(folder, { recursive: true });
  const digest = createHash('sha256').update(JSON.stringify(key)).digest('hex');
  const file = join(folder, `unfinished-${digest.slice(0, 12)}.jsonl`);
  const lines = await readJournal(file);
  const byPath = new Map(lines.map((line) => [line.path, line]));
  return {
    known: byPath.size,
    find({ path, bytes, modifiedMs }: Stamp): JournalLine | undefined {
      const line = byPath.get(path);
      return line?.bytes === bytes && line.modifiedMs === modifiedMs ? line : undefined;
    },
    /** Synchronous: the line is with the operating system before the next image starts. */
    append: (line: JournalLine) => appendFileSync(file, `${JSON.stringify(line)}\n`),
    remove: () => rm(file, { force: true }),
  };
}

/** Cuts off a last line without an end, which a killed run may leave. */
async function readJournal(file: string): Promise<JournalLine[]> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  const whole = text.slice(0, text.lastIndexOf('\n') + 1);
  if (whole.length < text.length) await truncate(file, Buffer.byteLength(whole));
  return whole
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as JournalLine);
}

const BAR_WIDTH = 30;

/**
 * A bar with the time left on a terminal; a line per tenth elsewhere. The time left follows from the
 * images judged in this run, not from those of the journal.
 */
function createProgress(total: number, say: (line: string) => void) {
  const started = performance.now();
  let done = 0;
  let judged = 0;
  return {
    advance(wasJudged: boolean): void {
      done += 1;
      if (wasJudged) judged += 1;
      const msLeft = ((performance.now() - started) / Math.max(judged, 1)) * (total - done);
      const line = `${done}/${total} images, ${formatTime(msLeft)} left`;
      if (process.stderr.isTTY) {
        const filled = Math.round((done / total) * BAR_WIDTH);
        const bar = '#'.repeat(filled).padEnd(BAR_WIDTH, '.');
        process.stderr.write(`\r[${bar}] ${line} \x1b[K${done === total ? '\n' : ''}`);
      } else if (Math.floor((10 * done) / total) > Math.floor((10 * (done - 1)) / total)) {
        say(line);
      }
    },
  };
}

function formatTime(ms: number): string {
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}
