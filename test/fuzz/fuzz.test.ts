import { createLeases } from '@livegate/core/domain';
import { createDocumentChecker } from '@livegate/testing/product/document-checker';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { OpenApiDocument } from '../../apps/api/src/openapi/document-types.js';
import { BATCH, findFault, seed, TEST_TIMEOUT_MS } from './budget.js';
import { documentedCases } from './cases/documented.js';
import { framingCases } from './cases/framing.js';
import { type Images, makeBaseImages, makeBombs } from './cases/images.js';
import { jsonCases } from './cases/json.js';
import { imageCases, multipartCases } from './cases/multipart.js';
import { checkCase, type FuzzCase, withAuth } from './cases/requests.js';
import { pathCases, type RouteCase, sessionCases } from './cases/routes.js';
import { createExisting } from './existing.js';
import { findFaults, show } from './judge.js';
import { type FuzzProduct, startProduct } from './product.js';
import { exchange, valueOf } from './wire.js';

const base = await makeBaseImages();
const images: Images = { base, bombs: await makeBombs(base) };
let product: FuzzProduct;
let document: OpenApiDocument;
let existing: ReturnType<typeof createExisting>;
let before: Awaited<ReturnType<FuzzProduct['readMemory']>>;
const counts = new Map<string, number>();

beforeAll(async () => {
  product = await startProduct();
  document = (await (await fetch(`${product.url}/openapi.json`)).json()) as OpenApiDocument;
  existing = createExisting(product.url, base.jpegs[0]!);
  // What every kind of case allocates once is not a leak.
  await fc.check(checks(imageCases(images)), { numRuns: 10, seed });
  await fc.check(checks(multipartCases(images)), { numRuns: 10, seed });
  before = await product.readMemory();
}, 120_000);

afterAll(async () => {
  await product?.stop();
});

/** Runs a batch of cases at once, and fails if an answer, a log or a process is not as promised. */
function checks(cases: fc.Arbitrary<FuzzCase>) {
  return batches(cases, (fuzzCase) => run(fuzzCase));
}

function batches<Case extends FuzzCase | RouteCase>(
  cases: fc.Arbitrary<Case>,
  runCase: (given: Case) => Promise<string[]>,
) {
  const shown = cases.map((each) =>
    Object.assign(each, { [fc.toStringMethod]: () => describeCase(each) }),
  );
  const batch = fc.array(shown, { minLength: 1, maxLength: BATCH, size: 'max' });
  return fc.asyncProperty(batch, async (given) => {
    const faults = await Promise.all(given.map((each) => runCase(each)));
    const found = [
      ...faults.flat(),
      ...product.findErrors().map((line) => `logged: ${JSON.stringify(line)}`),
      ...product.findCrashes().map(([app]) => `the ${app} has ended`),
    ];
    product.forgetLog();
    if (found.length > 0) throw new Error(found.join('\n'));
  });
}

function describeCase(fuzzCase: FuzzCase | RouteCase): string {
  const { bytes } = 'build' in fuzzCase ? fuzzCase.build(anything) : fuzzCase;
  return show(bytes, 1500);
}

const anything = {
  job: 'JOB',
  sid: 'SID',
  token: 'TOKEN',
  endpoint: 'ENDPOINT',
  delivery: 'DELIVERY',
};

async function run(fuzzCase: FuzzCase): Promise<string[]> {
  const exchanged = await exchange(product.port, fuzzCase);
  for (const { status } of exchanged.answers.slice(0, 1)) count(`${fuzzCase.label} ${status}`);
  if (exchanged.answers.length === 0) count(`${fuzzCase.label} closed`);
  return findFaults(fuzzCase, exchanged);
}

function count(name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}

const countRun = () => [...counts.values()].reduce((sum, times) => sum + times, 0);

async function runRoute(routeCase: RouteCase): Promise<string[]> {
  const fuzzCase = routeCase.build(await existing.take());
  const exchanged = await exchange(product.port, fuzzCase);
  const [answer] = exchanged.answers;
  count(`${fuzzCase.label} ${answer?.status}`);
  const faults = findFaults(fuzzCase, exchanged);
  const { documented } = routeCase;
  const isJson = answer && valueOf(answer, 'content-type')?.startsWith('application/json');
  if (!documented || !isJson || faults.length > 0) return faults;
  const checked = {
    status: answer.status,
    headers: new Map(answer.headers),
    body: JSON.parse(answer.body.toString()) as unknown,
  };
  return createChecker().check(documented, checked);
}

let checker: ReturnType<typeof createDocumentChecker> | undefined;
const createChecker = () => (checker ??= createDocumentChecker(document));

describe(`with the seed ${seed}, every answer is JSON with a Request-Id and not our fault`, () => {
  it.each<[string, number, () => fc.IAsyncProperty<unknown>]>([
    ['images', 0.35, () => checks(imageCases(images))],
    ['multipart', 0.15, () => checks(multipartCases(images))],
    ['json', 0.12, () => checks(jsonCases(images))],
    ['framing', 0.1, () => checks(framingCases(images))],
    ['paths', 0.08, () => batches(pathCases(document), runRoute)],
    ['sessions', 0.08, () => batches(sessionCases(images), runRoute)],
    ['documented', 0.12, () => batches(documentedCases(document, images), runRoute)],
  ])(
    '%s',
    async (name, share, property) => {
      expect(await findFault(property(), { name, share, countRun })).toBeUndefined();
    },
    TEST_TIMEOUT_MS,
  );
});

describe('afterwards', () => {
  const pollOptions = { timeout: 60_000, interval: 100 };

  it('no lease is held, and no image is left', async () => {
    const nothing = createLeases().held();
    // Each gauge must be there: a metric that is not found would pass as zero.
    await expect.poll(() => product.readHeld(), pollOptions).toEqual(nothing);
    await expect.poll(() => product.countImages(), pollOptions).toBe(0);
  }, 130_000);

  it('the memory is back to where it was', async () => {
    const after = await product.readMemory();
    console.log(report(after));
    for (const app of ['api', 'worker'] as const) {
      expect(after[app].heapMiB).toBeLessThan(before[app].heapMiB + MAX_GROWTH_MIB);
    }
  });

  it('a good image still gets its verdict', async () => {
    const body = Buffer.from(JSON.stringify({ image: base.jpegs[0]!.toString('base64') }));
    const headers = withAuth([['Content-Type', 'application/json']]);
    const answered = await exchange(
      product.port,
      checkCase('good', { headers, body, framing: 'length' }),
    );
    expect(answered.answers[0]?.status).toBe(200);
  });
});

/** Caches and counters of a long run; one image that is kept would add up to far more. */
const MAX_GROWTH_MIB = 16;

function report(after: typeof before): string {
  const lines = [...counts]
    .toSorted(([a], [b]) => a.localeCompare(b))
    .map(([name, times]) => `${times} x ${name}`);
  const memory = (['api', 'worker'] as const).map((app) => {
    const [was, is] = [before[app], after[app]];
    const heap = `heap ${was.heapMiB.toFixed(1)} -> ${is.heapMiB.toFixed(1)} MiB`;
    return `${app}: ${heap}, RSS ${was.rssMiB.toFixed(0)} -> ${is.rssMiB.toFixed(0)} MiB`;
  });
  return [`${countRun()} cases`, ...lines, ...memory].join('\n');
}
