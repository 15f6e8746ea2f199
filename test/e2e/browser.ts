import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { chromium, type BrowserContext } from 'playwright-core';
import { describeMachine, findProgram } from '../../tools/dev/install-program.js';

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

const install = `
  export DEBIAN_FRONTEND=noninteractive
  apt-get -q -y -o DPkg::Lock::Timeout=120 update &&
  apt-get -q -y -o DPkg::Lock::Timeout=120 install --no-install-recommends chromium`;

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
 * Root gets it installed where apt-get can; `undefined` where there is none and nobody may install it.
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
  if (found || !machine.isRoot || !findProgram(['apt-get'], machine)) return found;
  await promisify(execFile)('/bin/sh', ['-c', install], { maxBuffer: 64 * 1024 * 1024 });
  return findProgram(names, machine);
}
