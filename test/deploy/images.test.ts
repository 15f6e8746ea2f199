import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, copyFile, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { fetchNode } from './fetch-node.js';
import { findStep } from './parse-dockerfile.js';
import { findFreePort } from '../../tools/dev/ports.js';
import { selfie } from '../fixtures/photos.js';
import { postImage } from '../e2e/post-image.js';
import { createEnv, startProgram, untilReady, type Program } from '../e2e/processes.js';
import { replayDockerfile, type Image } from './replay-dockerfile.js';

const run = promisify(execFile);

let folder: string;
let api: Image;
let worker: Image;

/** No stage has this name. */
const bin = () => join(folder, 'bin');

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'livegate-images-'));
  const replay = await replayDockerfile({ folder, nodeBin: bin() });
  await mkdir(bin());
  const { stage } = await replay.make('node');
  const [, version = ''] = /:([\d.]+)-/.exec(stage.base) ?? [];
  await copyFile(`${await fetchNode(version)}/node`, join(bin(), 'node'));
  [api, worker] = await Promise.all([replay.make('api'), replay.make('worker')]);
  // Read-only, but for what a volume would be.
  await run('chmod', ['-R', 'a-w,a+rX', folder]);
  await chmod(join(api.root, 'etc/livegate'), 0o755);
}, 300_000);

afterAll(async () => {
  await run('chmod', ['-R', 'u+w', folder]);
  await rm(folder, { recursive: true });
});

/** As the image would start it: with its settings and its user, who is not the owner of its files. */
function fromImage({ root, workdir, env, stage }: Image, command: string[], own = {}): Program {
  const [uid, gid] = findStep(stage, 'USER')!.text.split(':').map(Number);
  return {
    command: command as Program['command'],
    cwd: join(root, workdir),
    env: { ...env, ...own, PATH: `${bin()}:${process.env['PATH']}` },
    // Only root may become somebody else.
    ...(process.getuid?.() === 0 && { uid: uid!, gid: gid! }),
  };
}

async function readOutput({ command: [file, ...args], ...options }: Program): Promise<string> {
  const child = spawn(file, args, { ...options, stdio: ['ignore', 'pipe', 'inherit'] });
  const [output] = await Promise.all([text(child.stdout), once(child, 'close')]);
  expect(child.exitCode).toBe(0);
  return output;
}

describe('the images that the Dockerfile makes', () => {
  it('hold what they run, and nothing more', async () => {
    const list = (image: Image, path: string) => readdir(join(image.root, 'app', path));
    const ofApi = await list(api, 'node_modules');
    const ofWorker = await list(worker, 'node_modules');
    expect(ofApi).toEqual(expect.arrayContaining(['express', 'swagger-ui-dist', 'bullmq']));
    expect(ofApi).not.toContain('onnxruntime-node');
    expect(ofApi).not.toContain('sharp');
    expect(ofWorker).toEqual(expect.arrayContaining(['onnxruntime-node', 'sharp', 'bullmq']));
    expect(ofWorker).not.toContain('express');
    for (const packages of [ofApi, ofWorker]) {
      expect(packages).not.toContain('typescript');
      expect(packages).not.toContain('vitest');
    }
    expect(await list(worker, 'node_modules/onnxruntime-node/bin/napi-v6/linux')).toEqual([
      process.arch,
    ]);
    expect((await list(worker, 'models')).toSorted()).toEqual([
      'fr-detect.onnx',
      'fr-liveness.onnx',
      'manifest.json',
      'manifest.sha256',
    ]);
  });

  it('cannot be written to by what runs in them', async () => {
    const write = `try { require('fs').writeFileSync('x', '') } catch ({ code }) { console.log(code) }`;
    for (const image of [api, worker]) {
      const output = await readOutput(fromImage(image, ['node', '-e', write]));
      expect(output.trim()).toBe('EACCES');
    }
  });

  it('check a selfie for a tenant of its own, are healthy, and end when they are told to', async () => {
    const credentials = await createCredentials();
    const shared = createEnv({ LIVEGATE_HOST: '127.0.0.1' });
    const ports = [await findFreePort(), await findFreePort()];
    const workerProgram = fromImage(worker, findStep(worker.stage, 'CMD')!.args, {
      ...shared,
      LIVEGATE_WORKER_HEALTH_PORT: `${ports[0]}`,
      LIVEGATE_MODELS_DIR: join(worker.root, worker.env['LIVEGATE_MODELS_DIR']!),
    });
    const apiProgram = fromImage(api, findStep(api.stage, 'CMD')!.args, {
      ...shared,
      PORT: `${ports[1]}`,
      LIVEGATE_CREDENTIALS_FILE: credentials.file,
    });
    const processes = [startProgram(workerProgram), startProgram(apiProgram)] as const;
    onTestFinished(() => void Promise.all(processes.map((process) => process.stop('SIGKILL'))));
    await Promise.all([processes[0].logged('ready'), processes[1].logged('listening')]);
    const url = `http://127.0.0.1:${ports[1]}`;
    await untilReady(url);

    await readOutput({ ...workerProgram, command: healthCheck(worker) });
    await readOutput({ ...apiProgram, command: healthCheck(api) });
    const answer = await postImage(url, await selfie(), credentials.headers);
    expect(answer).toMatchObject({ status: 200, body: { result: { status: 'LOW' } } });
    expect(await Promise.all(processes.map((process) => process.stop()))).toEqual([0, 0]);
  });
});

function healthCheck({ stage }: Image): [string, ...string[]] {
  return ['sh', '-c', findStep(stage, 'HEALTHCHECK')!.text.replace(/^CMD /, '')];
}

/** As `docker compose run credentials` makes them, in what there is a volume. */
async function createCredentials() {
  const file = join(api.root, 'etc/livegate/credentials.json');
  const command = ['node', 'apps/api/dist/credentials/main.js', 'create', '--tenant', 'acme'];
  const output = await readOutput(fromImage(api, command, { LIVEGATE_CREDENTIALS_FILE: file }));
  const read = (name: string) => new RegExp(`${name} +(\\S+)`).exec(output)?.[1] ?? '';
  const pair = `${read('username')}:${read('password')}`;
  const headers = {
    Authorization: `Basic ${Buffer.from(pair).toString('base64')}`,
    'x-api-key': read('x-api-key'),
  };
  return { file, headers };
}
