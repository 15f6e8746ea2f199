import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { selfie } from '@livegate/testing/images/photos';
import { schedulerConfig } from '@livegate/testing/models/scheduler-config';

const SELFIES = 600;

test('the memory of pixels does not make the worker collect its whole heap', async () => {
  // In its own process: the larger heap of the test runner would hide the collections.
  const program = fileURLToPath(new URL('count-full-collections.mjs', import.meta.url));
  const args = ['--expose-gc', program, JSON.stringify(schedulerConfig), `${SELFIES}`];
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.end(await selfie());
  const printed = await text(child.stdout);
  expect(printed).toMatch(/^\d+\n$/);
  expect(Number(printed)).toBeLessThan(SELFIES / 40);
}, 60_000);
