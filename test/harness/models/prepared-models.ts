import { resolve } from 'node:path';
import { prepareModels } from '../../../tools/models/prepare-models.js';

/** The models folder that all tests share; needs the network only when it was never prepared. */
export async function preparedModels(): Promise<string> {
  const modelsDir = resolve(process.env['LIVEGATE_MODELS_DIR'] ?? '.data/models');
  await prepareModels(modelsDir, () => {});
  return modelsDir;
}
