import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import axe from 'axe-core';
import { type BrowserContext, chromium, type Page } from 'playwright-core';
import {
  aptInstaller,
  describeMachine,
  findProgram,
  type InstallableProgram,
  installProgram,
} from '../../../../tools/dev/install-program.js';

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

const chromiumProgram: InstallableProgram = {
  name: 'Chromium',
  installers: { 'apt-get': aptInstaller('chromium') },
  otherwise: 'Install it with the package manager of this system.',
};

/** Flags that stop Chromium's own requests to Google. */
const quiet = [
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-gpu',
  '--disable-quic',
  '--disable-sync',
  '--no-first-run',
];

export interface TestBrowser {
  context: BrowserContext;
  close(): Promise<void>;
}

/**
 * Opens the machine's Chromium with an empty profile; for root without a sandbox, which Chromium refuses
 * to root. Installs Chromium where consent is given; otherwise returns `undefined` if it is missing.
 */
export async function openBrowser(flags: string[] = []): Promise<TestBrowser | undefined> {
  const { isRoot } = describeMachine();
  const executablePath = await findOrInstallChromium();
  if (!executablePath) return undefined;
  const profile = await mkdtemp(join(tmpdir(), 'livegate-browser-'));
  const args = [...quiet, ...flags, ...(isRoot ? ['--no-sandbox'] : [])];
  const context = await chromium.launchPersistentContext(profile, { executablePath, args });
  return {
    context,
    async close() {
      await context.close();
      await rm(profile, { recursive: true });
    },
  };
}

async function findOrInstallChromium(): Promise<string | undefined> {
  const machine = describeMachine();
  const found = findProgram(names, machine);
  if (found || !machine.consent) return found;
  await installProgram(chromiumProgram, machine, console.log);
  return findProgram(names, machine);
}

export interface WatchedPage {
  /** Hosts that the page asked for anything; data: URLs have none. */
  hosts: Set<string>;
  /** Errors and warnings of the console, and violations of the content security policy. */
  complaints: string[];
}

const reportViolations = `addEventListener('securitypolicyviolation', (event) => {
  console.error('CSP: ' + event.violatedDirective + ' ' + event.blockedURI);
});`;

/** Records what a page asks for and complains about. Call it before the page is loaded. */
export async function watchPage(page: Page): Promise<WatchedPage> {
  const hosts = new Set<string>();
  const complaints: string[] = [];
  page.on('request', (request) => {
    const { host } = new URL(request.url());
    if (host !== '') hosts.add(host);
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
  });
  await page.addInitScript(reportViolations);
  return { hosts, complaints };
}

/** The rules of accessibility that a page breaks, each with its elements. */
export async function findViolations(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const { violations } = (await page.evaluate('axe.run()')) as axe.AxeResults;
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map((n) => n.html).join(' ')}`);
}
