import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { stopServices } from '../../dev/processes.js';
import { formatTable } from '../../format-table.js';
import { type Bench, formatNumber, type Part } from '../bench.js';
import { moveTo, withSharedCores } from '../own-cores.js';
import { readUsage, sendLoad, startProduct, startWatched, WARM_UP_SECONDS } from '../product.js';
import type { Measured } from '../programs/pipeline-process.js';
import { interleave, median, medianRatio } from '../rounds.js';

const PROGRAM = 'tools/bench/programs/silent_face.py';
/** Callers: enough to keep every engine busy. */
const CALLERS = 16;

/** Throughput: by the clock, and by the CPU time that was had. */
interface Throughput {
  perSecond: number;
  perCpuSecond: number;
}

/** The nets as the sources run them, and traced and frozen by TorchScript, which is faster. */
type Variant = 'eager' | 'frozen';
type Python = Awaited<ReturnType<typeof startPython>>;

/**
 * Compares Livegate with the Silent-Face pipeline in Python, which loads its nets once, as a
 * deployment would. On one core both run in process; on two cores, Python runs in process, one
 * process on each core, and Livegate behind HTTP with all that this takes.
 */
export const measurePython: Part = async (bench, say) => {
  const missing = findMissing(bench.pythonDir);
  if (missing) {
    say(`not measured, and nothing is claimed about Python: ${missing}`);
    return [];
  }
  const folder = await mkdtemp(join(tmpdir(), 'livegate-python-'));
  const framePath = join(folder, 'frame.jpg');
  await writeFile(framePath, bench.photos.frame);
  const pythons: Python[] = [];
  try {
    for (const core of [0, 1]) pythons.push(await startPython(bench.pythonDir!, framePath, core));
    say(pythons[0]!.versions);
    const rounds = Math.max(5, bench.rounds);
    const all = { ...bench, rounds };
    return [
      ...(await compareOnOneCore(all, pythons[0]!, say)),
      ...(await compareOnTwoCores(all, pythons, say)),
    ];
  } finally {
    for (const python of pythons) python.stop();
    await rm(folder, { recursive: true });
  }
};

async function compareOnOneCore(bench: Bench, python: Python, say: (line: string) => void) {
  const { seconds, rounds } = bench;
  const livegate = await startPipeline(bench);
  try {
    await livegate.measure(WARM_UP_SECONDS);
    const rates = await interleave<'Livegate' | Variant, Throughput>(rounds, {
      eager: () => python.measure('eager', seconds),
      Livegate: () => livegate.measure(seconds),
      frozen: () => python.measure('frozen', seconds),
    });
    const of = (name: keyof typeof rates, key: keyof Throughput) => rates[name].map((r) => r[key]);
    const rows = (['eager', 'frozen', 'Livegate'] as const).map((name) => [
      nameOf(name),
      formatNumber(median(of(name, 'perSecond'))),
      formatNumber(median(of(name, 'perCpuSecond'))),
    ]);
    say(formatTable(['720x480 on one core', 'images/s', 'images per CPU second'], rows));
    return (['eager', 'frozen'] as const).map((variant) => ({
      name: `one core, in process, by CPU time, Livegate / ${nameOf(variant)}`,
      value: medianRatio(of('Livegate', 'perCpuSecond'), of(variant, 'perCpuSecond')),
      unit: 'x',
      aim: { atLeast: 1.4 },
    }));
  } finally {
    await livegate.stop();
  }
}

async function compareOnTwoCores(bench: Bench, pythons: Python[], say: (line: string) => void) {
  const { seconds, rounds } = bench;
  const image = bench.photos.frame;
  const measureAll = async (variant: Variant) => {
    const each = await Promise.all(pythons.map((python) => python.measure(variant, seconds)));
    return each.reduce((sum, { perSecond }) => sum + perSecond, 0);
  };
  const rates = await withSharedCores(bench, pythons.length, async (shared, moveService) => {
    const product = await startProduct(shared);
    try {
      for (const service of [...product.gateways, product.worker]) moveService(service);
      const load = { image, connections: CALLERS, seconds };
      await sendLoad(product.urls[0]!, { ...load, seconds: WARM_UP_SECONDS });
      return await interleave<'Livegate' | Variant, number>(rounds, {
        eager: () => measureAll('eager'),
        Livegate: async () => (await sendLoad(product.urls[0]!, load)).perSecond,
        frozen: () => measureAll('frozen'),
      });
    } finally {
      await product.stop();
    }
  });
  const rows = (['eager', 'frozen', 'Livegate'] as const).map((name) => [
    `${nameOf(name)}, ${name === 'Livegate' ? 'HTTP' : 'in process'}`,
    formatNumber(median(rates[name])),
  ]);
  say(formatTable(['720x480 on two cores', 'images/s'], rows));
  return (['eager', 'frozen'] as const).map((variant) => ({
    name: `two cores, Livegate over HTTP / ${nameOf(variant)} in process`,
    value: medianRatio(rates.Livegate, rates[variant]),
    unit: 'x',
    aim: { atLeast: 1 },
  }));
}

function nameOf(name: 'Livegate' | Variant): string {
  return { Livegate: 'Livegate', eager: 'Python', frozen: 'Python, frozen nets' }[name];
}

/** What the comparison needs and this machine lacks. */
export function findMissing(sources: string | undefined): string | undefined {
  if (!sources) return '--python DIR names a checkout of minivision-ai/Silent-Face-Anti-Spoofing';
  const weights = join(sources, 'resources/anti_spoof_models');
  if (!existsSync(weights)) return `${weights} does not exist`;
  if (availableParallelism() < 2) return 'it takes two cores';
  try {
    execFileSync('taskset', ['--version'], { stdio: 'ignore' });
  } catch {
    return 'taskset is not installed';
  }
  try {
    execFileSync(interpreterOf(sources), ['-c', 'import cv2, PIL, torch'], { stdio: 'ignore' });
  } catch {
    return 'apt-get install python3-torch python3-opencv python3-pil libopenblas0';
  }
  return undefined;
}

/** Debian's, or that of a virtual environment in the folder. */
function interpreterOf(sources: string): string {
  const own = join(sources, '.venv/bin/python3');
  return existsSync(own) ? own : '/usr/bin/python3';
}

/** A machine's settings for BLAS, oneDNN and OpenMP would change how fast Python's packages are. */
export function withoutMathSettings(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const kept = Object.entries(env).filter(
    ([name]) => !/^(OPENBLAS|GOTO|BLIS|MKL|DNNL|ONEDNN|ATEN|OMP|GOMP|KMP)_/.test(name),
  );
  return Object.fromEntries(kept);
}

async function startPython(sources: string, frame: string, core: number) {
  const args = ['--cpu-list', `${core}`, interpreterOf(sources), PROGRAM, sources, frame];
  const env = withoutMathSettings(process.env);
  const child = spawn('taskset', args, { env, stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => {
    const line = await lines.next();
    if (line.done) throw new Error(`${PROGRAM} ended: see its output above`);
    return line.value;
  };
  return {
    versions: await next(),
    async measure(variant: Variant, seconds: number): Promise<Throughput> {
      child.stdin.write(`${variant} ${seconds}\n`);
      const [images = NaN, cpuSeconds = NaN] = (await next()).split(' ').map(Number);
      return { perSecond: images / seconds, perCpuSecond: images / cpuSeconds };
    },
    stop: () => child.stdin.end(),
  };
}

async function startPipeline({ env, photos: { frame } }: Bench) {
  const settings = { ...env, LIVEGATE_ENGINES: '1' };
  const service = startWatched(['tools/dist/bench/programs/pipeline-process.js'], settings);
  const { process: child } = service;
  await once(child, 'message');
  moveTo('0', child.pid!);
  return {
    async measure(seconds: number): Promise<Throughput> {
      const before = await readUsage(service);
      child.send({ image: frame.toString('base64'), seconds });
      const [{ perSecond, images }] = (await once(child, 'message')) as [Measured];
      const { cpuMs } = await readUsage(service);
      return { perSecond, perCpuSecond: (1000 * images) / (cpuMs - before.cpuMs) };
    },
    stop: () => stopServices([service], 5000),
  };
}
