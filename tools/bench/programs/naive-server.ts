// The design that Livegate is compared with: Express calls ONNX Runtime inline, one image at a time. It
// uses the same models and pixel code, serves Express as fast, and lets ONNX Runtime choose its threads.
import { createServer } from 'node:http';
import { createWithPrototypesOf } from '@livegate/api/http/http-server';
import { inspectHeader } from '@livegate/core/domain';
import { createDecodeImage } from '@livegate/worker/inference/decode/decode-image';
import { allocateBatch } from '@livegate/worker/inference/picture';
import { assessPictures } from '@livegate/worker/inference/pipeline';
import { loadModels } from '@livegate/worker/models/load-models';
import { openSession } from '@livegate/worker/models/open-session';
import express from 'express';
import multer from 'multer';

// First, because its parent may be killed while the models load.
process.once('disconnect', () => process.exit(0));

const decodeImage = createDecodeImage(1);

const options = { executionProvider: 'cpu', deviceId: 0, intraOpThreads: 0 } as const;
const { detector, classifiers, calibration } = await loadModels(
  process.env['LIVEGATE_MODELS_DIR']!,
);
const stages = {
  detector: {
    model: detector,
    session: await openSession(detector, options),
    takeBatch: (count: number) => allocateBatch(detector.input, count),
    scoreThreshold: 0.9,
  },
  classifiers: await Promise.all(
    classifiers.map(async (model) => ({
      model,
      session: await openSession(model, options),
      takeBatch: (count: number) => allocateBatch(model.input, count),
    })),
  ),
  calibration,
  minFaceRatio: 0.25,
};
const upload = multer({ storage: multer.memoryStorage() }).single('image');

const app = express()
  .get('/readyz', (_request, response) => void response.json({}))
  .post('/face/v1/passive-liveness', upload, async ({ file }, response) => {
    const picture = await decodeImage(file!.buffer, inspectHeader(file!.buffer, 52_000_000));
    const [assessed] = await assessPictures(stages, [picture]);
    response.json(assessed);
  });
createServer(createWithPrototypesOf(app), app).listen(Number(process.env['PORT']), '127.0.0.1');
