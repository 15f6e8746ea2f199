import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { extendChain, redactLine, startChain } from '@livegate/worker/jobs/audit/audit-chain';
import { exampleAuditedCheck } from '@livegate/testing/audit';
import { expect, it, onTestFinished } from 'vitest';
import { openAudit } from './read-audit.js';

it('blanks a record in its place, also after a byte that is not valid UTF-8', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'livegate-audit-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const checks = ['a', 'b', 'c'].map((id) => exampleAuditedCheck({ id }));
  const [first, second, third] = extendChain(startChain('chain'), checks).lines;
  const broken = Buffer.from(`${first}\n`);
  broken[20] = 0xff;
  const path = join(folder, 'a.jsonl');
  await writeFile(path, Buffer.concat([broken, Buffer.from(`${second}\n${third}\n`)]));
  const audit = await openAudit(folder, { keyPrefix: '' });
  expect(await audit.redact('b')).toBe(1);
  const rest = (await readFile(path)).subarray(broken.length).toString();
  expect(rest).toBe(`${redactLine(second!)}\n${third}\n`);
});
