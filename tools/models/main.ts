// npm run models: downloads, verifies and prepares the models, unless they are ready.
// bootstrap.mjs has already installed and built, and changed to the repository's root.
import { prepareModels } from './prepare-models.js';

await prepareModels(process.env['LIVEGATE_MODELS_DIR'] || '.data/models', console.log);
