// npm run models: fetches, verifies and prepares the models, or finds that they are there.
// bootstrap.mjs has installed, built, and changed to the repository's root.
import { prepareModels } from './prepare-models.js';

await prepareModels(process.env['LIVEGATE_MODELS_DIR'] || '.data/models', console.log);
