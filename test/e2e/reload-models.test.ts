import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { selfie } from '@livegate/testing/images/photos';
import { byGreen, byRed, createTinyProfiles } from '@livegate/testing/models/tiny-profiles';
import { ask, credentials } from '@livegate/testing/product/post-image';
import { createEnv, startApi, startWorker, untilReady } from '@livegate/testing/product/processes';
import { expect, it, onTestFinished } from 'vitest';

const pollOptions = { timeout: 30_000, interval: 50 };

/** A gateway and a worker process with tiny models in a folder that the test changes. */
async function startProduct() {
  const profiles = await createTinyProfiles({ default: byRed, next: byGreen });
  onTestFinished(profiles.remove);
  const env = createEnv({ LIVEGATE_MODELS_DIR: profiles.modelsDir });
  const [api, worker] = await Promise.all([startApi(env), startWorker(env)]);
  onTestFinished(async () => {
    await Promise.all([api.stop('SIGKILL'), worker.stop('SIGKILL')]);
  });
  await untilReady(api.url);
  const photo = await selfie();

  /** The models that answer a check: the header of the answer. */
  async function askModel(): Promise<string> {
    const body = new FormData();
    body.set('image', new Blob([Uint8Array.from(photo)]));
    const url = `${api.url}/face/v1/passive-liveness`;
    const response = await fetch(url, { method: 'POST', headers: credentials, body });
    await response.arrayBuffer();
    return response.status === 200
      ? (response.headers.get('livegate-model') ?? '')
      : `${response.status}`;
  }
  const listModels = async () => {
    const { body } = await ask(`${api.url}/v1/models`);
    return (body['model_sets'] as { livegate_model: string }[]).map((set) => set.livegate_model);
  };
  const use = async (rollout: object) => {
    const draft = join(profiles.modelsDir, 'draft.json');
    await writeFile(draft, JSON.stringify(rollout));
    await rename(draft, join(profiles.modelsDir, 'active.json'));
  };
  return { api, worker, profiles, askModel, listModels, use };
}

it('a worker swaps its models at SIGHUP, while callers get an answer to every check', async () => {
  const { worker, profiles, askModel, listModels } = await startProduct();
  const answered: string[] = [];
  let isOver = false;
  const call = async () => {
    while (!isOver) answered.push(await askModel());
  };
  const calling = Promise.all([call(), call(), call()]);
  await expect.poll(() => answered.length, pollOptions).toBeGreaterThan(10);
  await profiles.write('default', byGreen);
  worker.child.kill('SIGHUP');
  await worker.logged('models swapped');
  const swapped = answered.length;
  await expect.poll(() => answered.length, pollOptions).toBeGreaterThan(swapped + 10);
  isOver = true;
  await calling;
  const versions = new Set(answered.map((model) => /liveness\/(\w+)/.exec(model)?.[1]));
  expect(versions).toEqual(new Set(['red', 'green']));
  expect(await askModel()).toContain('liveness/green');
  await expect.poll(listModels, pollOptions).toEqual([await askModel()]);
});

it('SIGHUP without a change does nothing but log', async () => {
  const { worker, askModel } = await startProduct();
  const before = await askModel();
  worker.child.kill('SIGHUP');
  await worker.logged('models unchanged');
  expect(await askModel()).toBe(before);
  expect(worker.log.filter(({ msg }) => msg === 'models swapped')).toEqual([]);
  expect(await worker.stop()).toBe(0);
});

it('a worker follows active.json: to a canary, to other models, and back', async () => {
  const { askModel, listModels, use, worker } = await startProduct();
  const before = await askModel();
  await use({ profile: 'default', canary: { profile: 'next', share: 0.5 } });
  await expect.poll(async () => (await listModels()).length, pollOptions).toBe(2);
  await use({ profile: 'next' });
  await expect.poll(askModel, pollOptions).toContain('liveness/green');
  await use({ profile: 'default' });
  await expect.poll(askModel, pollOptions).toBe(before);
  await expect.poll(listModels, pollOptions).toEqual([before]);
  expect(await worker.stop()).toBe(0);
});

it('a worker keeps its models when a swap fails, and says so', async () => {
  const { askModel, profiles, use, worker } = await startProduct();
  const before = await askModel();
  await profiles.damage('next');
  await use({ profile: 'next' });
  const line = await worker.logged('model swap failed, the present models stay');
  expect(line).toMatchObject({ level: 50, reason: 'file', rollout: { profile: 'next' } });
  expect(await askModel()).toBe(before);
});
