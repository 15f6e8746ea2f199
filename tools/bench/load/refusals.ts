import { once } from 'node:events';
import { startService, stopServices } from '../../dev/processes.js';
import { formatTable } from '../../format-table.js';
import { type Bench, type Figure, formatNumber, type Part } from '../bench.js';
import { type Answer, latencies, type OpenLoad, p99 } from './open-load.js';
import { type MoveService, withOwnCores } from '../own-cores.js';
import { credentials, type Product, sendLoad, startProduct } from '../product.js';
import { percentile } from '../rounds.js';

/** The offered load, as a multiple of what was measured right before. */
const OVERLOAD = 5;
/** With the default of 8 `--seconds` a load lasts half a minute, with 30 two minutes. */
const LOADS_OF_SECONDS = 4;
const CALLERS = 16;
const WARM_UP_SECONDS = 10;
const CALLERS_WARM_UP = 4;
const HANG_UP_AFTER_MS = 25_000;
const GRACE_MS = 5000;

/** An `OpenLoad` as a message to open-callers.ts. */
export interface AskedLoad extends Omit<OpenLoad, 'image'> {
  url: string;
  /** In base64. */
  image: string;
}

interface Kind {
  name: string;
  image: Buffer;
  /** Fake engines of 150 ms, as many as carry about what one real engine carries of this kind. */
  engines: number;
}

/**
 * Measures how fast a gateway refuses at five times the load that its workers carry. The engines are
 * fake, so that the callers can have the cores of the workers: beside the gateway they take a quarter
 * of its core, and what they measure is partly their own effect.
 */
export const measureRefusals: Part = async (bench, say) => {
  const photo = bench.photos.sizes.find(({ name }) => name === 'photo 12 MP')!.jpeg;
  const kinds: Kind[] = [
    { name: 'selfies', image: bench.photos.selfie, engines: 13 },
    { name: 'photos of 12 MP', image: photo, engines: 4 },
  ];
  const figures: Figure[] = [];
  for (const kind of kinds) {
    const measure = (halved: Bench, move: MoveService) => measureKind(halved, { kind, move, say });
    figures.push(...(await withOwnCores(bench, measure)));
  }
  return figures;
};

interface Measured {
  kind: Kind;
  move: MoveService;
  say: (line: string) => void;
}

async function measureKind(bench: Bench, { kind, move, say }: Measured): Promise<Figure[]> {
  const { name: of, image, engines } = kind;
  const program = ['tools/dist/bench/programs/double-worker.js', '1', '0', '150', `${engines}`];
  const product = await startProduct(bench, { worker: program });
  move(product.worker);
  try {
    const { perSecond } = await measureCapacity(product, kind, bench.seconds);
    const seconds = LOADS_OF_SECONDS * bench.seconds;
    const load = { headers: credentials, perSecond: OVERLOAD * perSecond, seconds };
    const asked = { ...load, image: image.toString('base64'), hangUpAfterMs: HANG_UP_AFTER_MS };
    const answers = await sendFromOwnProcess({ ...asked, url: product.urls[0]! }, move);
    const name = `${of}, ${OVERLOAD}x for ${seconds} s`;
    say(describe(name, perSecond, answers));
    const figure = { name: `${name}: refusals p99, ms`, value: p99(answers, 503), unit: '' };
    return [{ ...figure, aim: { atMost: 100 } }];
  } finally {
    await product.stop();
  }
}

async function measureCapacity({ urls }: Product, { image }: Kind, seconds: number) {
  const load = { image, connections: CALLERS, mayRefuse: true };
  await sendLoad(urls[0]!, { ...load, seconds: WARM_UP_SECONDS });
  return sendLoad(urls[0]!, { ...load, seconds });
}

async function sendFromOwnProcess(load: AskedLoad, move: MoveService): Promise<Answer[]> {
  const program = 'tools/dist/bench/programs/open-callers.js';
  const callers = startService('callers', [program], { env: process.env });
  move(callers);
  const send = async (asked: AskedLoad): Promise<Answer[]> => {
    const answered = once(callers.process, 'message') as Promise<[Answer[]]>;
    callers.process.send(asked);
    return (await answered)[0];
  };
  try {
    // Until V8 has compiled their code, the callers would be late themselves.
    await send({ ...load, perSecond: load.perSecond / (2 * OVERLOAD), seconds: CALLERS_WARM_UP });
    return await send(load);
  } finally {
    await stopServices([callers], GRACE_MS);
  }
}

function describe(name: string, capacity: number, answers: Answer[]): string {
  const refused = latencies(answers, 503);
  const at = (share: number) => formatNumber(percentile(refused, share));
  const accepted = latencies(answers, 200).length;
  const row = [name, formatNumber(capacity), `${accepted}`, `${refused.length}`];
  return formatTable(
    ['', 'C/s', 'accepted', 'refused', 'p50 ms', 'p90 ms'],
    [[...row, at(0.5), at(0.9)]],
  );
}
