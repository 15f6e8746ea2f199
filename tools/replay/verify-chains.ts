import {
  type AuditKey,
  type AuditLine,
  type ChainHead,
  hashLine,
  hashPayload,
  headOf,
  parseLine,
  startChain,
  writeLine,
} from '@livegate/worker/jobs/audit/audit-chain';
import type { AuditSource } from './read-audit.js';

/** Evidence of tampering. */
export interface Finding {
  source: string;
  /** From 1; absent for what is missing. */
  line?: number;
  problem:
    'changed' | 'removed' | 'moved' | 'duplicated' | 'cut off' | 'after the end' | 'without a key';
  detail: string;
}

export interface ChainReport extends ChainHead {
  source: string;
  checks: number;
  redacted: number;
  /** Whether the worker has closed it. If not, lines may be cut off: compare a head. */
  isEnded: boolean;
}

export interface VerifiedAudit {
  chains: ChainReport[];
  findings: Finding[];
  /** Normal, but worth knowing. */
  notes: string[];
  /** The lines that are as they were written, in order, without copies. */
  lines: PlacedLine[];
}

/** A line and where it is. */
export interface PlacedLine extends AuditLine {
  source: string;
  /** From 1. */
  number: number;
  isStream: boolean;
  /** Whether it is as it was written. */
  isSound: boolean;
}

export interface VerifyOptions {
  keys: AuditKey[];
  /** Heads that were kept elsewhere: none of these lines may be missing. */
  heads: ChainHead[];
  /** Whether all chains that the chains name should be here. */
  isFolder: boolean;
}

/** The lines are signed with a key that was not given, so nothing can be said about them. */
export class MissingKey extends Error {}

/** Verifies every line by itself, then each chain, then what the chains say about each other. */
export function verifyChains(sources: AuditSource[], options: VerifyOptions): VerifiedAudit {
  const context: Context = { findings: [], notes: [], options };
  const lines = sources.flatMap((source) => readLines(source, context));
  for (const { name, restBytes } of sources) {
    if (restBytes > 0) context.notes.push(`${name}: ${restBytes} bytes of an interrupted write`);
  }
  const chains = groupByChain(lines);
  const verified = [...chains.values()].map((own) => verifyChain(own, context));
  for (const head of options.heads) requireHead(head, 'the kept heads', { ...context, chains });
  requireNamed({ ...context, chains });
  return {
    chains: verified.map(({ report }) => report),
    findings: context.findings,
    notes: context.notes,
    lines: verified.flatMap((chain) => chain.lines.filter(({ isSound }) => isSound)),
  };
}

/** What all steps share. */
interface Context extends Pick<VerifiedAudit, 'findings' | 'notes'> {
  options: VerifyOptions;
}

function readLines({ name, lines, kind }: AuditSource, context: Context): PlacedLine[] {
  return lines.flatMap((text, i) => {
    const place = { source: name, number: i + 1, isStream: kind === 'stream' };
    const report = (problem: Finding['problem'], detail: string) =>
      context.findings.push({ source: name, line: place.number, problem, detail });
    const line = parseLine(text);
    if (!line) {
      report('changed', 'not an audit line');
      return [];
    }
    const { keys } = context.options;
    const key = keys.find(({ id }) => id === line.key);
    // A chain has one key: another one in the middle of it is a changed line.
    if (line.key !== null && !key && !hasKnownKey(lines, line.chain, keys)) {
      throw new MissingKey(`${name} is signed with the key ${line.key}: give it with --key-file`);
    }
    const change = findChange(line, text, key);
    if (change) report('changed', change);
    // Without its payload, a missing chain that it names would go unnoticed.
    if (line.seq === 0 && !line.payload) report('changed', 'the start of a chain is blanked');
    if (!key && keys.length > 0) report('without a key', 'anyone can make such a line');
    return [{ ...line, ...place, isSound: change === undefined }];
  });
}

function findChange(line: AuditLine, text: string, key?: AuditKey): string | undefined {
  if (hashLine(line, key) !== line.hash) return 'its hash does not match';
  if (line.payload && hashPayload(line.payload) !== line.payload_sha256) {
    return 'its payload does not match the hash of the payload';
  }
  // For example, a parser takes only one of two members with the same name.
  const written = line.payload ? text : text.trimEnd();
  return writeLine(line) === written ? undefined : 'not in canonical form';
}

function groupByChain(lines: PlacedLine[]): Map<string, PlacedLine[]> {
  const groups = new Map<string, PlacedLine[]>(lines.map(({ chain }) => [chain, []]));
  for (const line of lines) groups.get(line.chain)!.push(line);
  return groups;
}

function hasKnownKey(lines: string[], chain: string, keys: AuditKey[]): boolean {
  return lines
    .map(parseLine)
    .some((line) => line?.chain === chain && keys.some(({ id }) => id === line.key));
}

/** Reports what is missing, twice or in the wrong place. */
function verifyChain(found: PlacedLine[], context: Context) {
  // A stream has a redacted line at its end.
  const lines = found[0]!.isStream ? found.toSorted((a, b) => a.seq - b.seq) : found;
  const numbers = [...new Set(lines.map(({ seq }) => seq))];
  const seen = new Map<number, PlacedLine>();
  let last: ChainHead = startChain(lines[0]!.chain);
  for (const line of lines) {
    const report = (problem: Finding['problem'], detail: string) =>
      context.findings.push({ source: line.source, line: line.number, problem, detail });
    const twin = seen.get(line.seq);
    if (twin?.hash === line.hash) report('duplicated', `the same as line ${twin.number}`);
    else if (twin) report('changed', `number ${line.seq} of its chain is there twice`);
    else if (line.seq < last.seq) report('moved', `comes after number ${last.seq} of its chain`);
    else requireLink(last, line, { ...context, numbers });
    if (!twin) seen.set(line.seq, line);
    if (line.seq > last.seq) last = line;
  }
  const unique = [...seen.values()];
  return { lines: unique, report: describeChain(unique, last, context) };
}

function requireLink(
  last: ChainHead,
  line: PlacedLine,
  { numbers, findings, notes }: Context & { numbers: number[] },
): void {
  const { source, number, seq, prev, isStream, chain } = line;
  const elsewhere = numbers.filter((each) => each > last.seq && each < seq).length;
  const missing = seq - last.seq - 1 - elsewhere;
  if (missing > 0 && isStream && last.seq < 0) {
    notes.push(`${chain} begins at number ${seq}: the stream is full, or lines were removed`);
  } else if (missing > 0) {
    const detail = `${missing} lines are missing between number ${last.seq} and ${seq} of its chain`;
    findings.push({ source, line: number, problem: 'removed', detail });
  } else if (elsewhere === 0 && prev !== last.hash) {
    const detail = 'it does not follow from the line before';
    findings.push({ source, line: number, problem: 'changed', detail });
  }
}

function describeChain(lines: PlacedLine[], last: ChainHead, context: Context): ChainReport {
  const { findings, notes } = context;
  const { source } = lines[0]!;
  const end = lines.find(({ payload }) => payload?.kind === 'end');
  for (const { number, seq } of lines.filter((line) => end && line.seq > end.seq)) {
    findings.push({ source, line: number, problem: 'after the end', detail: `number ${seq}` });
  }
  if (!end)
    notes.push(`${last.chain} has no end: its worker runs or was killed, or lines are gone`);
  const count = (of: (line: PlacedLine) => boolean) => lines.filter(of).length;
  return {
    source,
    ...headOf(last),
    checks: count(({ payload }) => payload?.kind === 'check'),
    redacted: count(({ payload }) => payload === null),
    isEnded: end !== undefined,
  };
}

type ContextOfChains = Context & { chains: Map<string, PlacedLine[]> };

/** Reports a head whose line is not there. */
function requireHead(
  { chain, seq, hash }: ChainHead,
  namedBy: string,
  { chains, findings }: ContextOfChains,
): void {
  const own = chains.get(chain) ?? [];
  if (own.some((line) => line.hash === hash)) return;
  const source = own[0]?.source ?? chain;
  const isPast = own.every((line) => line.seq < seq);
  const problem = own.length === 0 ? 'removed' : isPast ? 'cut off' : 'changed';
  const detail = `number ${seq} of ${chain}, which is in ${namedBy}, is not here`;
  findings.push({ source, problem, detail });
}

/** The first line of a chain names the heads of earlier ones. */
function requireNamed(context: ContextOfChains): void {
  const { chains, options, notes } = context;
  const [oldest = ''] = [...chains.keys()].toSorted();
  for (const { payload, chain } of [...chains.values()].flat()) {
    if (payload?.kind !== 'start') continue;
    for (const head of payload.previous) {
      // A chain older than all others was probably deleted in time; a single file names other files.
      const isExpected = chains.has(head.chain) || (options.isFolder && head.chain > oldest);
      if (isExpected) requireHead(head, chain, context);
      else notes.push(`${head.chain}, which ${chain} names, is not here`);
    }
  }
}
