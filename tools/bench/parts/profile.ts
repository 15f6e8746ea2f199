import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Service } from '../../dev/processes.js';
import { formatTable } from '../../format-table.js';
import { type Bench, formatNumber, type Part } from '../bench.js';
import type { ProcessUsage } from '../programs/watch-process.js';
import { readUsage, sendLoad, startProduct } from '../product.js';

/** Callers: enough to keep every engine busy. */
const SATURATING = 16;
/** Functions that are listed for each process. */
const LISTED = 12;

/**
 * Writes CPU profiles of a gateway and a worker under load, one for each thread, and prints what
 * each owner takes for a check.
 */
export const measureProfile: Part = async (bench, say) => {
  const folder = resolve(bench.outDir, `profiles-${process.pid}`);
  await mkdir(folder, { recursive: true });
  const product = await startProduct(bench, {
    // As compiled: the owner of a function is found by the path of its file.
    gateway: ['apps/api/dist/main.js'],
    worker: ['apps/worker/dist/main.js'],
    nodeArgs: ['--cpu-prof', `--cpu-prof-dir=${folder}`],
    // Log lines are a cost of each check. They are written, but not shown.
    env: { LIVEGATE_LOG_LEVEL: 'info' },
    output: 'ignore',
  });
  const processes = { gateway: product.gateways[0]!, worker: product.worker };
  let measured: Measured;
  try {
    measured = await measureLoad(bench, product.urls[0]!, processes);
  } finally {
    // Each process writes its profiles at its end.
    await product.stop();
  }
  for (const [name, { process: child }] of Object.entries(processes)) {
    const files = (await readdir(folder)).filter((file) => file.includes(`.${child.pid}.`));
    const { cpuMs, threadCpuMs } = measured.usage[name as keyof typeof processes];
    const own = await Promise.all(
      files.map(async (file) => {
        const profile = JSON.parse(await readFile(join(folder, file), 'utf8')) as CpuProfile;
        return scaleTo(threadCpuMs[threadOf(file)], listOwnTimes(profile, measured.window));
      }),
    );
    say(describeOwners(name, own.flat(), { cpuMs, checks: measured.checks }));
  }
  say(`CPU profiles, for the performance tab of Chrome's DevTools: ${folder}`);
  return [];
};

/** The name is CPU.date.time.process.thread.number.cpuprofile. */
function threadOf(file: string): number {
  return Number(file.split('.')[4]);
}

/**
 * V8 counts the time that a thread waits for a core as if it ran. The kernel does not, but knows no
 * functions: it says how long the thread ran, V8 which share each function had.
 */
export function scaleTo(cpuMs: number | undefined, times: OwnTime[]): OwnTime[] {
  const sampled = times.reduce((sum, { ms }) => sum + ms, 0);
  if (cpuMs === undefined || sampled === 0) return times;
  return times.map((time) => ({ ...time, ms: (time.ms * cpuMs) / sampled }));
}

type Usage = Pick<ProcessUsage, 'cpuMs' | 'threadCpuMs'>;

interface Measured {
  window: TimeWindow;
  checks: number;
  usage: { gateway: Usage; worker: Usage };
}

async function measureLoad(
  { photos, seconds }: Bench,
  url: string,
  { gateway, worker }: { gateway: Service; worker: Service },
): Promise<Measured> {
  const load = { image: photos.selfie, connections: SATURATING, seconds };
  await sendLoad(url, load);
  const readBoth = () => Promise.all([readUsage(gateway), readUsage(worker)]);
  const [gatewayBefore, workerBefore] = await readBoth();
  const from = nowUs();
  const { latenciesMs } = await sendLoad(url, load);
  const window = { from, to: nowUs() };
  const [gatewayAfter, workerAfter] = await readBoth();
  const usage = {
    gateway: subtract(gatewayAfter, gatewayBefore),
    worker: subtract(workerAfter, workerBefore),
  };
  return { window, checks: latenciesMs.length, usage };
}

function subtract(after: Usage, before: Usage): Usage {
  const threads = Object.entries(after.threadCpuMs).map(([id, ms]) => {
    return [id, ms - (before.threadCpuMs[Number(id)] ?? 0)];
  });
  const threadCpuMs = Object.fromEntries(threads) as Usage['threadCpuMs'];
  return { cpuMs: after.cpuMs - before.cpuMs, threadCpuMs };
}

/** Microseconds on the clock of V8's profiles, which all processes share. */
function nowUs(): number {
  return Number(process.hrtime.bigint() / 1000n);
}

/** A part of the file that `node --cpu-prof` writes. Times are in microseconds. */
export interface CpuProfile {
  nodes: ProfileNode[];
  startTime: number;
  /** For each sample, the id of its node, and the time since the sample before. */
  samples: number[];
  timeDeltas: number[];
}

interface ProfileNode {
  id: number;
  callFrame: { functionName: string; url: string; lineNumber: number };
  children?: number[];
}

export interface TimeWindow {
  from: number;
  to: number;
}

export interface OwnTime {
  owner: string;
  /** Name and place of the function. */
  code: string;
  ms: number;
}

/** What each function took itself within the window, without the functions that it called. */
export function listOwnTimes(profile: CpuProfile, { from, to }: TimeWindow): OwnTime[] {
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const owners = findOwners(profile, nodes);
  const ms = new Map<number, number>();
  let at = profile.startTime;
  for (const [i, id] of profile.samples.entries()) {
    const delta = profile.timeDeltas[i]!;
    at += delta;
    if (at >= from && at <= to) ms.set(id, (ms.get(id) ?? 0) + delta / 1000);
  }
  return [...ms].flatMap(([id, own]) => {
    const { functionName, url, lineNumber } = nodes.get(id)!.callFrame;
    if (functionName === '(idle)' || functionName === '(program)') return [];
    const place = url ? ` ${url.replace(/^.*\/(?:node_modules|apps|packages)\//, '')}` : '';
    const line = url ? `:${lineNumber + 1}` : '';
    const name = functionName || '(anonymous)';
    return [{ owner: owners.get(id)!, code: `${name}${place}${line}`, ms: own }];
  });
}

/** The first that matches the URL of a function owns it; most callbacks are owned by their callers. */
const OWNERS: [owner: string, url: RegExp][] = [
  ['models', /onnxruntime/],
  ['decode', /\/sharp\/|\/inference\/decode\//],
  ['crops and frames', /\/apps\/worker\/dist\/inference\//],
  ['logs', /\/(?:pino[^/]*|sonic-boom|thread-stream|quick-format-unescaped)\//],
  ['Redis', /\/(?:ioredis|bullmq|redis-parser|@ioredis)\/|\/core\/dist\/redis\//],
  ['telemetry', /\/@opentelemetry\/|\/telemetry\//],
  ['HTTP', /\/(?:express|router|finalhandler|body-parser|@fastify|send|qs)\/|node:_?http/],
  ['gateway', /\/apps\/api\//],
  ['worker', /\/apps\/worker\//],
];

/** Node's own functions belong to their callers: a socket is written to for Redis or for HTTP. */
function findOwners(
  { nodes: [root] }: CpuProfile,
  nodes: Map<number, ProfileNode>,
): Map<number, string> {
  const owners = new Map<number, string>();
  const visit = ({ id, callFrame, children = [] }: ProfileNode, caller: string): void => {
    const isCollector = callFrame.functionName === '(garbage collector)';
    const found = OWNERS.find(([, url]) => url.test(callFrame.url));
    const owner = isCollector ? 'garbage collection' : (found?.[0] ?? caller);
    owners.set(id, owner);
    for (const child of children) visit(nodes.get(child)!, owner);
  };
  if (root) visit(root, 'Node.js');
  return owners;
}

/** Two tables: the owners, and the functions that take most. */
export function describeOwners(
  name: string,
  times: OwnTime[],
  { cpuMs, checks }: { cpuMs: number; checks: number },
): string {
  const byOwner = sumBy(times, ({ owner }) => owner);
  const profiled = byOwner.reduce((sum, [, ms]) => sum + ms, 0);
  // libvips decodes in threads that V8 does not know; its compilers and collectors are the rest.
  byOwner.push(['native threads: libvips, V8', Math.max(0, cpuMs - profiled)]);
  const perCheck = (ms: number) => formatNumber(ms / checks);
  const share = (ms: number) => `${Math.round((100 * ms) / cpuMs)} %`;
  const rows = byOwner.map(([owner, ms]) => [owner, perCheck(ms), share(ms)]);
  const header = [`${name}, ${checks} checks`, 'ms a check', 'of its CPU'];
  const functions = sumBy(times, ({ owner, code }) => `${owner}: ${code}`).slice(0, LISTED);
  const total = ['all', perCheck(cpuMs), ''];
  return [
    formatTable(header, [...rows, total]),
    formatTable(
      ['function', 'ms a check'],
      functions.map(([code, ms]) => [code, perCheck(ms)]),
    ),
  ].join('\n\n');
}

/** The largest first. */
function sumBy(times: OwnTime[], keyOf: (time: OwnTime) => string): [string, number][] {
  const sums = new Map<string, number>();
  for (const time of times) sums.set(keyOf(time), (sums.get(keyOf(time)) ?? 0) + time.ms);
  return [...sums].toSorted(([, a], [, b]) => b - a);
}
