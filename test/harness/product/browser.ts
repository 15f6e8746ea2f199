import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BrowserContext, chromium } from 'playwright-core';
import {
  aptInstaller,
  describeMachine,
  findProgram,
  type InstallableProgram,
  installProgram,
} from '../../../tools/dev/install-program.js';

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

const chromiumProgram: InstallableProgram = {
  name: 'Chromium',
  installers: { 'apt-get': aptInstaller('chromium') },
  otherwise: 'Install it with the package manager of this system.',
};

/** What a browser says by itself to servers of its maker. */
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
 * The machine's Chromium with an empty profile, and without a sandbox for root, who cannot have one.
 * It is installed where that needs no question; `undefined` where it is missing otherwise.
 */
export async function openBrowser(): Promise<TestBrowser | undefined> {
  const { isRoot } = describeMachine();
  const executablePath = await findOrInstallChromium();
  if (!executablePath) return undefined;
  const profile = await mkdtemp(join(tmpdir(), 'livegate-browser-'));
  const args = [...quiet, ...(isRoot ? ['--no-sandbox'] : [])];
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
