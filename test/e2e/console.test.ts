import { once } from 'node:events';
import { mkdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { tallyPeriods } from '@livegate/core/domain';
import { createKeys } from '@livegate/core/redis';
import { Redis } from 'ioredis';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import {
  developmentCredential,
  hashSecret,
} from '../../apps/api/src/credentials/credential-book.js';
import type { Snapshot } from '../../apps/api/src/operator/console/snapshot.js';
import { noFace, selfie } from '@livegate/testing/images/photos';
import { weakSelfie } from '@livegate/testing/images/weak-photos';
import {
  findViolations,
  openBrowser,
  type TestBrowser,
  watchPage,
} from '@livegate/testing/product/browser';
import {
  asOperator,
  operator,
  operatorLogin,
  writeCredentials,
} from '@livegate/testing/product/credentials-file';
import {
  type ApiProcess,
  type AppProcess,
  createEnv,
  type Env,
  startApi,
  startWorker,
  untilReady,
} from '@livegate/testing/product/processes';

const tenants = ['acme', 'zeta', 'camera'] as const;
const headersOf = (tenant: string) => ({
  Authorization: `Basic ${btoa(`${tenant}:${tenant}-password`)}`,
  'x-api-key': `${tenant}-key`,
});
/** What acme may send in a minute. */
const LIMIT = 40;
const eventually = { timeout: 50_000, interval: 200 };

let env: Env;
let gateways: ApiProcess[];
let workers: AppProcess[];
let browser: TestBrowser | undefined;
const closers: (() => unknown)[] = [];

// Installing Chromium, where it is missing and root may, takes minutes.
beforeAll(async () => {
  browser = await openBrowser();
  closers.push(() => browser?.close());
  await browser?.context.setHTTPCredentials(operatorLogin);
  await startProduct();
  await stageHistory();
}, 300_000);
afterAll(async () => {
  for (const close of closers.toReversed()) await close();
});

async function startProduct(): Promise<void> {
  const credentials = tenants.map((tenant) => ({
    ...developmentCredential,
    tenant,
    username: tenant,
    password_sha256: hashSecret(`${tenant}-password`),
    api_key_sha256: hashSecret(`${tenant}-key`),
    permissions: ['passive-liveness', 'webhook-endpoints'],
    ...(tenant === 'acme' && { rate_limit_per_minute: LIMIT }),
  }));
  const { file, remove } = await writeCredentials([...credentials, operator]);
  closers.push(remove);
  env = createEnv({
    LIVEGATE_CREDENTIALS_FILE: file,
    LIVEGATE_WEBHOOK_ALLOWED_ADDRESSES: '127.0.0.1',
  });
  const [a, b, one, two] = await Promise.all([
    startApi(env),
    startApi(env),
    startWorker(env),
    startWorker(env),
  ]);
  gateways = [a, b];
  workers = [one, two];
  closers.push(() => Promise.all([a, b, one, two].map((app) => app.stop('SIGKILL'))));
  await Promise.all([untilReady(a.url), untilReady(b.url)]);
}

/** Writes the tallies of the past day: 24 % of the photos of the tenant `camera` were HIGH. */
async function stageHistory(): Promise<void> {
  const redis = new Redis(env['REDIS_URL']!);
  const keys = createKeys(env['LIVEGATE_KEY_PREFIX']!);
  const hour = Math.floor(Date.now() / tallyPeriods.hour.ms);
  for (let back = 3; back < 24; back += 1) {
    const key = `${keys.tallies('hour')}${hour - back}`;
    const fields = { 'camera|LOW': 76, 'camera|HIGH': 24, 'camera|score 1': 76 };
    await redis.hset(key, { ...fields, 'camera|score 7': 24 });
    await redis.expire(key, 600);
  }
  redis.disconnect();
}

async function check(tenant: string, image: Uint8Array, more: Record<string, string> = {}) {
  const body = new FormData();
  body.set('image', new Blob([Uint8Array.from(image)]));
  const url = `${gateways[0]!.url}/face/v1/passive-liveness`;
  const response = await fetch(url, {
    method: 'POST',
    headers: { ...headersOf(tenant), ...more },
    body,
  });
  const answer = (await response.json()) as {
    status?: string;
    result?: { spoof_percentage?: number };
  };
  return {
    status: response.status,
    id: response.headers.get('request-id') ?? '',
    score: answer.status === 'success' ? answer.result?.spoof_percentage : undefined,
  };
}

async function readSnapshot(gateway = gateways[0]!): Promise<Snapshot> {
  const response = await fetch(`${gateway.url}/console/snapshot`, { headers: asOperator });
  expect(response.status).toBe(200);
  return (await response.json()) as Snapshot;
}

/** Waits until a snapshot of this gateway has what is wanted. */
async function untilSnapshot(
  isWanted: (snapshot: Snapshot) => boolean,
  gateway = gateways[0]!,
): Promise<Snapshot> {
  let snapshot = await readSnapshot(gateway);
  await vi.waitUntil(async () => {
    snapshot = await readSnapshot(gateway);
    return isWanted(snapshot);
  }, eventually);
  return snapshot;
}

/** Opens the console in a tab of its own, and records its requests, errors and warnings. */
async function openConsole(look: { width?: number; scheme?: 'light' | 'dark' } = {}, at = 0) {
  const page = await browser!.context.newPage();
  onTestFinished(() => page.close());
  await page.setViewportSize({ width: look.width ?? 1280, height: 900 });
  await page.emulateMedia({ colorScheme: look.scheme ?? 'light' });
  const { hosts, complaints } = await watchPage(page);
  await page.goto(`${gateways[at]!.url}/console`);
  await page.locator('#connection[data-state="live"]').waitFor();
  return { page, hosts, complaints };
}

/** With SCREENSHOTS=FOLDER, keeps what the page looks like, for a person to see. */
async function keepScreenshot(page: Page, name: string): Promise<void> {
  const folder = process.env['SCREENSHOTS'];
  if (folder === undefined) return;
  await mkdir(folder, { recursive: true });
  await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
}

const looks = [
  [390, 'light'],
  [390, 'dark'],
  [1280, 'light'],
  [1280, 'dark'],
] as const;

async function expectFit(
  state: string,
  [width, scheme]: (typeof looks)[number],
  look: (page: Page) => Promise<void>,
): Promise<void> {
  const { page, hosts, complaints } = await openConsole({ width, scheme });
  await look(page);
  await keepScreenshot(page, `console-${state}-${width}-${scheme}`);
  expect(await findViolations(page)).toEqual([]);
  const contentWidth = await page.evaluate('document.documentElement.scrollWidth');
  expect(contentWidth).toBeLessThanOrEqual(width);
  expect([...hosts].filter(Boolean)).toEqual([new URL(gateways[0]!.url).host]);
  expect(complaints).toEqual([]);
}

describe('a calm installation', () => {
  const scores: number[] = [];
  let failedId = '';

  beforeAll(async () => {
    const [live, empty] = [await selfie(), await noFace()];
    for (let n = 0; n < 24; n += 1) {
      const { score } = await check('zeta', n % 8 === 7 ? empty : live);
      if (score !== undefined) scores.push(score);
    }
    failedId = (await check('zeta', Buffer.from('no image'))).id;
    await untilSnapshot(({ latency, tenants: shown }) => {
      const counted = shown.find(({ tenant }) => tenant === 'zeta')?.hours ?? [];
      return latency.checks >= 24 && counted.some(({ checks }) => checks >= 10);
    });
  }, 60_000);

  it('is shown whole by each gateway', async () => {
    for (const gateway of gateways) {
      const snapshot = await untilSnapshot(
        ({ workers: shown, gateways: others }) => shown.length === 2 && others.length === 2,
        gateway,
      );
      expect(snapshot.findings).toEqual([]);
      expect(snapshot.gateways.every(({ isReady }) => isReady)).toBe(true);
      for (const worker of snapshot.workers) {
        expect(worker).toMatchObject({ provider: 'cpu', isSilent: false });
        expect(worker.models.join(' ')).toMatch(/fr-detect.*fr-liveness/);
        expect(worker.layout).toMatchObject({ engines: 1, maxBatch: 2 });
      }
      expect(snapshot.latency.p50Ms).toBeGreaterThan(0);
      expect(snapshot.batches.mean).toBeGreaterThanOrEqual(1);
      expect(snapshot.queue).toMatchObject({ waiting: 0, secondsOfWork: 0 });
      const [server] = snapshot.redis.servers;
      expect(server).toMatchObject({ name: 'queue', isPersisting: true });
    }
  });

  it('lists a failure with its code and request id', async () => {
    const { failures } = await untilSnapshot(({ failures: shown }) => shown.length > 0);
    const invalid = failures.find(({ code }) => code === 'invalid_image');
    expect(invalid?.count).toBe(1);
    expect(invalid?.requests.map(({ id }) => id)).toEqual([failedId]);
  });

  it('counts the verdicts of a tenant in groups of ten, and shows no score', async () => {
    const snapshot = await readSnapshot();
    const { hours } = snapshot.tenants.find(({ tenant }) => tenant === 'zeta')!;
    const counted = hours.reduce((sum, { checks }) => sum + checks, 0);
    expect(counted).toBeGreaterThanOrEqual(10);
    expect(counted).toBeLessThanOrEqual(24);
    const text = JSON.stringify(snapshot);
    expect(scores.length).toBeGreaterThan(10);
    for (const score of scores) expect(text).not.toContain(String(score));
  });

  it.each(looks)('is accessible and does not overflow at %i px, %s', async (width, scheme) => {
    await expectFit('calm', [width, scheme], async (page) => {
      await page.locator('#attention[data-state="calm"]').waitFor();
      await page.getByRole('rowheader', { name: 'zeta' }).waitFor();
    });
  });

  it('ends its streams when a gateway stops, and the page goes on when one is back', async () => {
    const gateway = await startApi(env);
    closers.push(() => gateway.stop('SIGKILL'));
    const { port } = new URL(gateway.url);
    gateways.push(gateway);
    const { page } = await openConsole({}, 2);
    expect(await gateway.stop()).toBe(0);
    await page.locator('#connection[data-state="lost"]').waitFor();
    const again = await startApi({ ...env, PORT: port });
    closers.push(() => again.stop('SIGKILL'));
    await page.locator('#connection[data-state="live"]').waitFor();
    expect(await again.stop()).toBe(0);
    gateways.pop();
  });

  it('takes less than 30 kB of script, compressed', async () => {
    const script = new URL('../../apps/api/dist/public/console.js', import.meta.url);
    expect(gzipSync(await readFile(script)).length).toBeLessThan(30_000);
  });
});

describe('staged failures', () => {
  let deadWorker = '';
  const found = new Map<string, Snapshot['findings'][number]>();

  /** Answers every message with 500. */
  async function stageReceiver(): Promise<void> {
    const hook = createServer((req, res) => {
      req.resume();
      res.writeHead(500).end();
    });
    hook.listen(0, '127.0.0.1');
    closers.push(() => hook.close());
    await once(hook, 'listening');
    const url = `http://127.0.0.1:${(hook.address() as AddressInfo).port}/hook?token=hook-mark`;
    const response = await fetch(`${gateways[0]!.url}/v1/webhook-endpoints`, {
      method: 'POST',
      headers: { ...headersOf('zeta'), 'content-type': 'application/json' },
      body: JSON.stringify({ url, events: ['passive_liveness.completed'] }),
    });
    expect(response.status).toBe(201);
    await check('zeta', await selfie());
  }

  /** After an update of the app, half of its photos are too dark, which the models call HIGH. */
  async function stageCameraUpdate(): Promise<void> {
    const [live, dark] = [await selfie(), await weakSelfie('image_too_dark')];
    for (let n = 0; n < 80; n += 1) await check('camera', n % 2 === 0 ? live : dark);
    // The worker that dies next would take counts of the last seconds with it.
    await untilSnapshot(({ tenants: shown }) =>
      shown.some(({ tenant, shift }) => tenant === 'camera' && shift !== undefined),
    );
  }

  /** Far more than its rate; the refused ones are not read. */
  async function stageFlood(): Promise<void> {
    const image = await selfie();
    for (let n = 0; n < 30; n += 1) {
      await Promise.all(Array.from({ length: 10 }, () => check('acme', image)));
    }
  }

  async function stageDeadWorker(): Promise<void> {
    const before = await readSnapshot();
    await workers[1]!.stop('SIGKILL');
    const { id } = (await workers[1]!.logged('ready')) as { id: string };
    expect(before.workers.map((worker) => worker.id)).toContain(id);
    deadWorker = id;
  }

  beforeAll(async () => {
    await stageReceiver();
    await stageCameraUpdate();
    await stageDeadWorker();
    await stageFlood();
    const wanted = [/^silent-/, /^flood-/, /^receiver-/, /^high-/];
    await untilSnapshot(({ findings }) => {
      for (const finding of findings) found.set(finding.id.split('-')[0]!, finding);
      return wanted.every((id) => findings.some((finding) => id.test(finding.id)));
    });
  }, 120_000);

  it('names the worker that died, and since when', () => {
    expect(found.get('silent')?.text).toMatch(
      new RegExp(`^Worker ${deadWorker} has not reported for \\d+ s`),
    );
  });

  it('names the tenant that floods, with its share', () => {
    expect(found.get('flood')?.text).toMatch(/^Tenant acme sends \d\d % of the checks/);
  });

  it('names the receiver that is down, without its URL', async () => {
    expect(found.get('receiver')?.text).toMatch(
      /^The webhook receiver whe_\w+ of tenant zeta is down: \d+ attempts in a row failed, the latest with 5xx/,
    );
    expect(JSON.stringify(await readSnapshot())).not.toContain('hook-mark');
  });

  it('names the tenant whose HIGH doubled, and the quality code that came with it', () => {
    expect(found.get('high')?.text).toMatch(
      /^Tenant camera gets HIGH for (4|5)\d % of its checks.*, 24 % in the week before\..*image_too_dark rose from 0 % to \d\d %/,
    );
  });

  it('exports the shift of the scores as a metric of every gateway', async () => {
    const { scores } = await readSnapshot();
    expect(scores.referenceChecks).toBe(2100);
    expect(scores.recent.length).toBe(10);
  });

  it.each(looks)('are shown accessibly at %i px, %s', async (width, scheme) => {
    await expectFit('findings', [width, scheme], async (page) => {
      await page.getByText('Tenant camera gets HIGH').waitFor();
      await page.getByText(`Worker ${deadWorker}`).waitFor();
    });
  });

  it('open their section of the runbook by keyboard, and give the focus back', async () => {
    const { page, complaints } = await openConsole();
    const item = page.locator('#findings li', { hasText: `Worker ${deadWorker}` });
    const button = item.getByRole('button', { name: 'Show what to do' });
    await button.focus();
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'A process is silent' }).waitFor();
    expect(await page.evaluate('document.activeElement.id')).toBe('runbook-title');
    await keepScreenshot(page, 'console-runbook');
    expect(await findViolations(page)).toEqual([]);
    await page.getByRole('button', { name: 'Close' }).focus();
    await page.keyboard.press('Enter');
    const focused = await page.evaluate("document.activeElement.closest('li')?.textContent");
    expect(focused).toContain(`Worker ${deadWorker}`);
    expect(complaints).toEqual([]);
  });
});
