import { cp } from 'node:fs/promises';
import { resolve } from 'node:path';
import { prepareModels } from '../../../../tools/models/prepare-models.js';

/** The models folder that all tests share. Needs the network only the first time. */
export async function preparedModels(): Promise<string> {
  const modelsDir = resolve(process.env['LIVEGATE_MODELS_DIR'] ?? '.data/models');
  await prepareModels(modelsDir, () => {}, { profile: 'default' });
  return modelsDir;
}

/** An unfinished file, which another test renames while its own program prepares the shared folder. */
const DRAFT = /\.[\da-f]{8}-[\da-f-]{27}$/;

/** Copies the shared folder, for a test that changes its models. */
export async function copyPreparedModels(to: string): Promise<void> {
  const filter = (path: string) => !DRAFT.test(path);
  await cp(await preparedModels(), to, { recursive: true, filter });
}
