import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { stopServices } from '../../dev/processes.js';
import { formatTable } from '../../format-table.js';
import { type Bench, formatNumber, type Part } from '../bench.js';
import { startWatched, readUsage } from '../product.js';
import { interleave, median, medianRatio } from '../rounds.js';

const PROGRAM = 'tools/bench/programs/silent_face.py';
/** The core on which both run, in turns. */
const CORE = '0';
const WARM_UP_SECONDS = 3;

/** Throughput on one core: by the clock, and by the CPU time that was had. */
interface OnOneCore {
  perSecond: number;
  perCpuSecond: number;
}

/**
 * Compares the pipeline in process with the Silent-Face pipeline in Python, which loads its nets
 * once, as a deployment would. Both run on the same core, one thread each, on the same frame.
 */
export const measurePython: Part = async (bench, say) => {
  const missing = findMissing(bench.pythonDir);
  if (missing) {
    say(`not measured, and nothing is claimed about Python: ${missing}`);
    return [];
  }
  const folder = await mkdtemp(join(tmpdir(), 'livegate-python-'));
  const { frame } = bench.photos;
  const framePath = join(folder, 'frame.jpg');
  await writeFile(framePath, frame);
  const python = await startPython(bench.pythonDir!, framePath);
  const livegate = await startPipeline(bench, frame);
  try {
    // The code of a new process is slow until V8 has optimized it.
    await livegate.measure(WARM_UP_SECONDS);
    const rates = await interleave<'Livegate' | 'Python', OnOneCore>(Math.max(5, bench.rounds), {
      Python: () => python.measure(bench.seconds),
      Livegate: () => livegate.measure(bench.seconds),
    });
    const of = (name: keyof typeof rates, key: keyof OnOneCore) => rates[name].map((r) => r[key]);
    const rows = (['Python', 'Livegate'] as const).map((name) => [
      name,
      formatNumber(median(of(name, 'perSecond'))),
      formatNumber(median(of(name, 'perCpuSecond'))),
    ]);
    say(formatTable(['720x480 on one core', 'images/s', 'images per CPU second'], rows));
    const ratio = (key: keyof OnOneCore) => medianRatio(of('Livegate', key), of('Python', key));
    return [
      {
        name: 'one core, in process, Livegate / Python, by CPU time',
        value: ratio('perCpuSecond'),
        unit: 'x',
        aim: { atLeast: 1.4 },
      },
      { name: 'the same by the clock', value: ratio('perSecond'), unit: 'x' },
    ];
  } finally {
    python.stop();
    await livegate.stop();
    await rm(folder, { recursive: true });
  }
};

/** What the comparison needs and this machine lacks. */
export function findMissing(sources: string | undefined): string | undefined {
  if (!sources) return '--python DIR names a checkout of minivision-ai/Silent-Face-Anti-Spoofing';
  const weights = join(sources, 'resources/anti_spoof_models');
  if (!existsSync(weights)) return `${weights} does not exist`;
  try {
    execFileSync('taskset', ['--version'], { stdio: 'ignore' });
  } catch {
    return 'taskset is not installed';
  }
  try {
    execFileSync('/usr/bin/python3', ['-c', 'import cv2, torch'], { stdio: 'ignore' });
  } catch {
    return 'apt-get install python3-torch python3-opencv';
  }
  return undefined;
}

async function startPython(sources: string, frame: string) {
  const args = ['--cpu-list', CORE, '/usr/bin/python3', PROGRAM, sources, frame];
  const child = spawn('taskset', args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => {
    const line = await lines.next();
    if (line.done) throw new Error(`${PROGRAM} ended: see its output above`);
    return line.value;
  };
  await next();
  return {
    async measure(seconds: number): Promise<OnOneCore> {
      child.stdin.write(`${seconds}\n`);
      const [images = NaN, cpuSeconds = NaN] = (await next()).split(' ').map(Number);
      return { perSecond: images / seconds, perCpuSecond: images / cpuSeconds };
    },
    stop: () => child.stdin.end(),
  };
}

async function startPipeline({ env }: Bench, frame: Buffer) {
  const settings = { ...env, LIVEGATE_ENGINES: '1' };
  const service = startWatched(['tools/dist/bench/programs/pipeline-process.js'], settings);
  const { process: child } = service;
  await once(child, 'message');
  execFileSync('taskset', ['--all-tasks', '--cpu-list', '--pid', CORE, `${child.pid}`]);
  return {
    async measure(seconds: number): Promise<OnOneCore> {
      const before = await readUsage(service);
      child.send({ image: frame.toString('base64'), seconds });
      const [perSecond] = (await once(child, 'message')) as [number];
      const { cpuMs } = await readUsage(service);
      const images = perSecond * seconds;
      return { perSecond, perCpuSecond: (1000 * images) / (cpuMs - before.cpuMs) };
    },
    stop: () => stopServices([service], 5000),
  };
}
