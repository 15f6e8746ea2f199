import { resolve } from 'node:path';
import { prepareModels } from '../../../../tools/models/prepare-models.js';

/** The models folder that all tests share. Needs the network only the first time. */
export async function preparedModels(): Promise<string> {
  const modelsDir = resolve(process.env['LIVEGATE_MODELS_DIR'] ?? '.data/models');
  await prepareModels(modelsDir, () => {}, { profile: 'default' });
  return modelsDir;
}
