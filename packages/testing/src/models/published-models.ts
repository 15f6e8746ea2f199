import { readFile } from 'node:fs/promises';
import {
  findProfile,
  listModels,
  parseCatalogue,
} from '../../../../apps/worker/src/models/catalogue.js';
import { fetchPublishedFiles } from '../../../../tools/models/fetch-published-files.js';

export interface PublishedModels {
  detector: Uint8Array;
  classifier: Uint8Array;
}

/** The default models before preparation. Needs the network only when npm's cache lacks them. */
export async function publishedModels(): Promise<PublishedModels> {
  const path = 'models/catalogue.json';
  const catalogue = parseCatalogue({ text: await readFile(path, 'utf8'), path });
  const models = listModels(catalogue, findProfile(catalogue, 'default'));
  const [detector, classifier] = await fetchPublishedFiles(models);
  return { detector: detector!, classifier: classifier! };
}
