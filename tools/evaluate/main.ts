// npm run check:data -- [folder]: measures the accuracy of the pipeline on labelled photos.
// bootstrap.mjs has already installed and built, and changed to the repository's root.
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { readWorkerConfig } from '@livegate/worker/config';
import { assessFiles, readTable } from './assess-files.js';
import { describeDetection, describeLiveness, describeSpeed } from './describe.js';
import { prepareModels } from '../models/prepare-models.js';
import { openPipeline } from '../open-pipeline.js';

const { positionals } = parseArgs({ allowPositionals: true });
await checkData(positionals[0] ?? '../shared/data');

/** `folder` contains images, detection.csv (path, faces) and liveness.csv (path, label, framing, source). */
async function checkData(folder: string): Promise<void> {
  const detectionRows = await readTable(join(folder, 'detection.csv'), ['path', 'faces']);
  const livenessColumns = ['path', 'label', 'framing', 'source'] as const;
  const livenessRows = await readTable(join(folder, 'liveness.csv'), livenessColumns);
  const config = readWorkerConfig(process.env);
  await prepareModels(config.LIVEGATE_MODELS_DIR, console.log);
  const pipeline = await openPipeline(config);
  const detection = await assessFiles(pipeline, folder, detectionRows);
  const liveness = await assessFiles(pipeline, folder, livenessRows);
  await pipeline.close();
  console.log(describeDetection(detection));
  console.log(describeLiveness(liveness));
  console.log(describeSpeed(liveness));
}
