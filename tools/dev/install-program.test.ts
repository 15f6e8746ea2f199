import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { findConsent, installProgram, type Machine } from './install-program.js';

const someProgram = {
  name: 'Something',
  installers: { 'apt-get': { shell: 'apt-get install it', advice: 'sudo apt-get install it' } },
  otherwise: 'Build it.',
};

let folder: string;
let said: string[];
const say = (line: string) => said.push(line);

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'livegate-install-test-'));
  said = [];
});

afterEach(() => rm(folder, { recursive: true }));

/** A machine whose apt-get and sudo only record their arguments. */
async function describeStandIns(machine: Partial<Machine> = {}): Promise<Machine> {
  const searchPath = join(folder, 'bin');
  await mkdir(searchPath);
  await writeProgram('apt-get', `echo "apt-get $*" >> ${folder}/calls`);
  await writeProgram(
    'sudo',
    `echo "sudo $1" >> ${folder}/calls; [ "$1" = /bin/sh ] || shift; "$@"`,
  );
  return { searchPath, isRoot: true, ...machine };
}

async function writeProgram(name: string, shell: string): Promise<void> {
  await writeFile(join(folder, 'bin', name), `#!/bin/sh\n${shell}\n`, { mode: 0o755 });
}

async function readCalls(): Promise<string[]> {
  const text = await readFile(join(folder, 'calls'), 'utf8').catch(() => '');
  return text.split('\n').filter(Boolean);
}

describe('a package manager runs without a question', () => {
  const none = { args: ['node', 'start.js'], env: {}, isRoot: false, isContainer: false };

  test.each([
    ['with --install', { args: [...none.args, '--install'] }, 'as --install asks'],
    ['in CI', { env: { CI: 'true' } }, 'as this is CI'],
    ['as root in a container', { isRoot: true, isContainer: true }, 'as root in a container'],
  ])('%s', (_, circumstances, reason) => {
    expect(findConsent({ ...none, ...circumstances })).toBe(reason);
  });

  test.each([
    ['as a user', {}],
    ['as root outside a container', { isRoot: true }],
    ['as a user in a container', { isContainer: true }],
    ['with CI=false', { env: { CI: 'false' } }],
  ])('but not %s', (_, circumstances) => {
    expect(findConsent({ ...none, ...circumstances })).toBeUndefined();
  });
});

describe('a missing program', () => {
  test('is installed with consent, and the reason is printed', async () => {
    const machine = await describeStandIns({ consent: 'as this is CI' });
    await installProgram(someProgram, machine, say);
    expect(await readCalls()).toEqual(['apt-get install it']);
    expect(said).toEqual([
      'Something is not installed: installing it with apt-get, as this is CI …',
    ]);
  });

  test('is installed after a yes at the terminal, to a question that names the command', async () => {
    const questions: string[] = [];
    const confirm = async (question: string) => questions.push(question) > 0;
    await installProgram(someProgram, await describeStandIns({ confirm }), say);
    expect(questions).toEqual(['Something is not installed. Run "sudo apt-get install it"?']);
    expect(await readCalls()).toEqual(['apt-get install it']);
  });

  test.each([
    ['after a no at the terminal', { confirm: () => Promise.resolve(false) }],
    ['without a terminal', {}],
  ])('is not installed %s, and the error names the command', async (_, more) => {
    const machine = await describeStandIns(more);
    await expect(installProgram(someProgram, machine, say)).rejects.toThrow(
      /^Something is not installed\. Install it with "sudo apt-get install it", or run this command again with "-- --install"\.$/,
    );
    expect(await readCalls()).toEqual([]);
    expect(said).toEqual([]);
  });

  test.each([
    ['which asks for no password without a terminal', {}, 'sudo --non-interactive'],
    [
      'which may ask for a password at a terminal',
      { confirm: () => Promise.resolve(true) },
      'sudo /bin/sh',
    ],
  ])('is installed with sudo for a user, %s', async (_, more, call) => {
    const machine = await describeStandIns({
      isRoot: false,
      consent: 'as --install asks',
      ...more,
    });
    await installProgram(someProgram, machine, say);
    expect(await readCalls()).toEqual([call, 'apt-get install it']);
  });

  test.each([true, false])(
    'whose installation fails causes an error with the command (root: %s)',
    async (isRoot) => {
      const machine = await describeStandIns({ isRoot, consent: 'as this is CI' });
      await writeProgram('apt-get', 'echo no such package >&2; exit 100');
      await expect(installProgram(someProgram, machine, say)).rejects.toThrow(
        /^Something could not be installed\. Run it yourself: sudo apt-get install it\n/,
      );
    },
  );

  test('causes an error with advice if there is no known package manager', async () => {
    const machine = { searchPath: folder, isRoot: true, consent: 'as this is CI' };
    await expect(installProgram(someProgram, machine, say)).rejects.toThrow(
      'Something is not installed. Build it.',
    );
  });
});
