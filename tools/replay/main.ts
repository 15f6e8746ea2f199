// npm run replay -- AUDIT [IMAGES]: verifies an audit, and proves its verdicts from kept images.
// bootstrap.mjs has installed, built, and changed to the repository's root.
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { parseArgs } from 'node:util';
import { readWorkerConfig } from '@livegate/worker/config';
import { type ChainHead, headOf, parseAuditKey } from '@livegate/worker/jobs/audit/audit-chain';
import { formatTable } from '../format-table.js';
import { openAudit, type OpenedAudit } from './read-audit.js';
import { indexImages, replayChecks, type ReplayedCheck } from './replay-checks.js';
import { type VerifiedAudit, verifyChains } from './verify-chains.js';

const usage = `npm run replay -- AUDIT [IMAGES] [options]

  AUDIT            a file, a folder of .jsonl files, redis://…, or "stream" for REDIS_URL
  IMAGES           a folder with the images of the records, under any names
  --heads FILE     heads that were kept elsewhere, one JSON object a line, such as log lines
  --key-file FILE  a key that signed the lines; may be repeated (default: LIVEGATE_AUDIT_KEY_FILE)
  --partial        records without their image in IMAGES do not count
  --tolerance N    largest difference of a score or a logit (default: 0.0001)
  --json           print one JSON object
  --head           print the heads of all chains, to keep them elsewhere
  --redact ID      blank the records of the check ID; the chain still holds

Exit status: 0 all is proven, 1 something differs, 2 nothing can be said.`;

const PROVEN = 0;
const DIFFERENT = 1;
const UNUSABLE = 2;

/** Above what differs between processors, and far below what moves a verdict. */
const TOLERANCE = 1e-4;

process.exit(
  await main(process.argv.slice(2)).catch((error: unknown) => {
    console.error(`replay: ${error instanceof Error ? error.message : String(error)}`);
    return UNUSABLE;
  }),
);

async function main(args: string[]): Promise<number> {
  const { values, positionals } = readArgs(args);
  const [place, images] = positionals;
  if (place === undefined || positionals.length > 2) throw new Error(`name an audit\n\n${usage}`);
  const keyPrefix = process.env['LIVEGATE_KEY_PREFIX'] || '{livegate}';
  const audit = await openAudit(place === 'stream' ? readRedisUrl() : place, { keyPrefix });
  try {
    if (values.redact !== undefined) return await redact(audit, values.redact);
    const verified = verifyChains(audit.sources, {
      keys: await readKeys(values['key-file']),
      heads: await readHeads(values.heads),
      isFolder: audit.isFolder,
    });
    if (verified.chains.length === 0) throw new Error(`${place} has no audit lines`);
    if (values.head) return printHeads(verified);
    const tolerance = Number(values.tolerance ?? TOLERANCE);
    if (!(tolerance >= 0)) throw new Error('--tolerance needs a number from 0');
    const replayed = images === undefined ? [] : await replay(verified, { images, tolerance });
    if (values.json) console.log(JSON.stringify(toReport(verified, replayed)));
    else print(verified, replayed);
    const isReplay = images !== undefined;
    return judge(verified, { checks: replayed, isReplay, isPartial: values.partial ?? false });
  } finally {
    await audit.close();
  }
}

function readArgs(args: string[]) {
  return parseArgs({
    args,
    allowPositionals: true,
    options: {
      heads: { type: 'string' },
      'key-file': { type: 'string', multiple: true },
      partial: { type: 'boolean' },
      tolerance: { type: 'string' },
      json: { type: 'boolean' },
      head: { type: 'boolean' },
      redact: { type: 'string' },
    },
  });
}

function readRedisUrl(): string {
  const url = process.env['REDIS_URL'];
  if (!url) throw new Error('REDIS_URL is not set');
  return url;
}

async function readKeys(given: string[] | undefined) {
  const configured = process.env['LIVEGATE_AUDIT_KEY_FILE'];
  const files = given ?? (configured ? [configured] : []);
  return await Promise.all(files.map(async (file) => parseAuditKey(await readFile(file))));
}

async function readHeads(file: string | undefined): Promise<ChainHead[]> {
  if (file === undefined) return [];
  const lines = (await readFile(file, 'utf8')).split('\n').filter((line) => line.trim() !== '');
  return lines.map((line, i) => {
    const { chain, seq, hash } = JSON.parse(line) as Record<string, unknown>;
    if (typeof chain === 'string' && typeof seq === 'number' && typeof hash === 'string') {
      return { chain, seq, hash };
    }
    throw new Error(`${file}, line ${i + 1}: expected an object with chain, seq and hash`);
  });
}

async function redact(audit: OpenedAudit, id: string): Promise<number> {
  const count = await audit.redact(id);
  console.log(`${count} records of ${id} are blanked`);
  return count > 0 ? PROVEN : UNUSABLE;
}

function printHeads({ chains, findings }: VerifiedAudit): number {
  for (const chain of chains) console.log(JSON.stringify(headOf(chain)));
  for (const finding of findings) console.error(describeFinding(finding));
  return findings.length > 0 ? DIFFERENT : PROVEN;
}

async function replay(
  { lines }: VerifiedAudit,
  { images, tolerance }: { images: string; tolerance: number },
): Promise<ReplayedCheck[]> {
  const config = readWorkerConfig(process.env);
  return await replayChecks(lines, await indexImages(images), { config, tolerance });
}

function toReport({ chains, findings, notes }: VerifiedAudit, checks: ReplayedCheck[]) {
  return { chains, findings, notes, checks };
}

function print({ chains, findings, notes }: VerifiedAudit, checks: ReplayedCheck[]): void {
  const chainLines = chains.map(({ chain, seq, checks: count, redacted, isEnded }) =>
    [chain, seq + 1, count, redacted, isEnded ? 'yes' : 'no'].map(String),
  );
  console.log(formatTable(['chain', 'lines', 'checks', 'redacted', 'ended'], chainLines));
  for (const note of notes) console.log(`  note: ${note}`);
  for (const finding of findings) console.log(`  FOUND ${describeFinding(finding)}`);
  if (findings.length === 0) console.log('  Every line is as it was written.');
  if (checks.length === 0) return;
  const header = ['check', 'state', 'recorded', 'replayed', 'difference', 'line'];
  const lines = checks.map((check) => [
    check.id,
    check.state,
    check.recorded,
    check.replayed,
    check.difference?.toExponential(1) ?? '',
    `${basename(check.source)}:${check.line}`,
  ]);
  console.log(`\n${formatTable(header, lines)}\n  ${countStates(checks)}`);
}

function describeFinding({ source, line, problem, detail }: VerifiedAudit['findings'][number]) {
  return `${problem}: ${source}${line === undefined ? '' : `, line ${line}`}: ${detail}`;
}

function countStates(checks: ReplayedCheck[]): string {
  const states = [...new Set(checks.map(({ state }) => state))];
  const count = (state: string) => checks.filter((check) => check.state === state).length;
  return states.map((state) => `${count(state)} ${state}`).join(', ');
}

interface Judged {
  checks: ReplayedCheck[];
  isReplay: boolean;
  isPartial: boolean;
}

/** A line that was tampered with counts more than a record that cannot be proven here. */
function judge({ findings }: VerifiedAudit, { checks, isReplay, isPartial }: Judged): number {
  const has = (...states: ReplayedCheck['state'][]) =>
    checks.some(({ state }) => states.includes(state));
  if (findings.length > 0 || has('different', 'contradictory')) return DIFFERENT;
  if (has('other models', 'other calibration') || (isReplay && !has('proven'))) return UNUSABLE;
  return has('no image') && !isPartial ? DIFFERENT : PROVEN;
}
