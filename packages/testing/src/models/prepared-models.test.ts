import { randomUUID } from 'node:crypto';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { copyPreparedModels, preparedModels } from './prepared-models.js';

test('a copy of the prepared models has no file that another program is still writing', async () => {
  const draft = join(await preparedModels(), `catalogue.json.${randomUUID()}`);
  const copy = await mkdtemp(join(tmpdir(), 'livegate-copy-'));
  onTestFinished(async () => {
    await rm(draft);
    await rm(copy, { recursive: true });
  });
  await writeFile(draft, '{}');
  await copyPreparedModels(copy);
  const catalogues = (await readdir(copy)).filter((file) => file.startsWith('catalogue.json'));
  expect(catalogues).toEqual(['catalogue.json']);
});
