import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { findFreePort } from '../../../tools/dev/ports.js';
import { selfie } from '@livegate/testing/images/photos';
import { postImage } from '@livegate/testing/product/post-image';
import { createEnv, type Env, startProgram, untilReady } from '@livegate/testing/product/processes';
import { findStep, parseDockerfile, readEnv } from './dockerfile.js';
import { fetchNode, findObstacle, openPodman, type Podman } from './podman.js';

const obstacle = await findObstacle();

const images = ['api', 'worker'] as const;
type ImageName = (typeof images)[number];

const stages = parseDockerfile(await readFile('Dockerfile', 'utf8'));
const stageOf = (name: string) => stages.find((stage) => stage.name === name)!;

/** The hardening of docker-compose.yml and k8s/: only volumes are writable. */
const HARDENED = ['--read-only', '--cap-drop=all', '--security-opt=no-new-privileges'];
/** Podman would raise these limits, which not every machine allows. */
const LIMITS = ['--ulimit=nofile=1024:1024', '--ulimit=nproc=1024:1024'];
const CREDENTIALS = [
  '--volume=credentials:/etc/livegate',
  '--env=LIVEGATE_CREDENTIALS_FILE=/etc/livegate/credentials.json',
];

const skipReason = obstacle ? ` (skipped: ${obstacle})` : '';

describe.skipIf(obstacle)(`the images built from the Dockerfile${skipReason}`, () => {
  let podman: Podman;

  beforeAll(async () => {
    podman = await openPodman();
    const { base } = stageOf('node');
    const [, version = ''] = /:([\d.]+)-/.exec(base) ?? [];
    await podman.importBase(base, `${await fetchNode(version)}/node`);
    for (const image of images) await podman.build(image);
  }, 400_000);

  afterAll(() => podman.close(), 60_000);

  /** Arguments for a foreground container, to which Podman forwards signals. */
  function container(image: ImageName, args: string[] = [], env: Env = {}) {
    const variables = Object.entries(env).map(([key, value]) => `--env=${key}=${value}`);
    const flags = ['run', '--rm', '--network=host', `--name=${image}`, ...LIMITS, ...variables];
    return [...flags, ...args];
  }

  it.each(images)('have the configuration that the parsed Dockerfile has: %s', async (image) => {
    const format = '{"config":{{json .Config}},"healthCheck":{{json .HealthCheck}}}';
    const inspected = await podman.run('image', 'inspect', '--format', format, image);
    const { config, healthCheck } = JSON.parse(inspected) as ImageFacts;
    const stage = stageOf(image);
    const expected = Object.entries(readEnv(stages, image)).map(
      ([key, value]) => `${key}=${value}`,
    );
    expect(config.Env).toEqual(expect.arrayContaining(expected));
    expect(config.User).toBe(findStep(stage, 'USER')!.text);
    expect(config.Cmd).toEqual(findStep(stage, 'CMD')!.args);
    const ports = findStep(stage, 'EXPOSE')!.args.map((port) => `${port}/tcp`);
    expect(Object.keys(config.ExposedPorts).toSorted()).toEqual(ports.toSorted());
    expect(findStep(stage, 'HEALTHCHECK')!.text).toBe(`CMD ${healthCheck.Test[1]}`);
  });

  it('contain their own dependencies and models, and no others', async () => {
    const roots = {
      api: await podman.run('image', 'mount', 'api'),
      worker: await podman.run('image', 'mount', 'worker'),
    };
    const list = (image: ImageName, path: string) => readdir(join(roots[image], 'app', path));
    const ofApi = await list('api', 'node_modules');
    const ofWorker = await list('worker', 'node_modules');
    expect(ofApi).toEqual(expect.arrayContaining(['express', 'swagger-ui-dist', 'bullmq']));
    expect(ofApi).not.toContain('onnxruntime-node');
    expect(ofApi).not.toContain('sharp');
    expect(ofWorker).toEqual(expect.arrayContaining(['onnxruntime-node', 'sharp', 'bullmq']));
    expect(ofWorker).not.toContain('express');
    for (const packages of [ofApi, ofWorker]) {
      expect(packages).not.toContain('typescript');
      expect(packages).not.toContain('vitest');
    }
    expect(await list('worker', 'node_modules/onnxruntime-node/bin/napi-v6/linux')).toEqual([
      process.arch,
    ]);
    expect((await list('worker', 'models')).toSorted()).toEqual([
      'active.json',
      'catalogue.json',
      'fr-detect.onnx',
      'fr-liveness.onnx',
    ]);
  });

  it.each(images)('deny their process to write to the application folder: %s', async (image) => {
    const write = `try { require('fs').writeFileSync('x', '') } catch ({ code }) { console.log(code) }`;
    const output = await podman.run(...container(image), image, 'node', '-e', write);
    expect(output).toBe('EACCES');
  });

  it('check a selfie for a created tenant, are healthy, and stop with exit code 0', async () => {
    const create = ['apps/api/dist/credentials/main.js', 'create', '--tenant', 'acme'];
    const printed = await podman.run(...container('api', CREDENTIALS), 'api', 'node', ...create);
    const shared = createEnv({ LIVEGATE_HOST: '127.0.0.1' });
    const { PATH: _, LIVEGATE_MODELS_DIR: __, ...env } = shared;
    const ports = [await findFreePort(), await findFreePort()];
    const start = (image: ImageName, args: string[], own: Env) =>
      startProgram({
        command: [
          ...podman.command,
          ...container(image, [...HARDENED, ...args], { ...env, ...own }),
          image,
        ] as [string, ...string[]],
        cwd: '.',
        env: shared,
      });
    const processes = [
      start('worker', [], { LIVEGATE_WORKER_HEALTH_PORT: `${ports[0]}` }),
      start('api', CREDENTIALS, {
        PORT: `${ports[1]}`,
        LIVEGATE_PUBLIC_URL: `http://127.0.0.1:${ports[1]}`,
      }),
    ] as const;
    onTestFinished(() => void Promise.all(processes.map((process) => process.stop('SIGKILL'))));
    await Promise.all([processes[0].logged('ready'), processes[1].logged('listening')]);
    const url = `http://127.0.0.1:${ports[1]}`;
    await untilReady(url);

    for (const image of images) await podman.run('healthcheck', 'run', image);
    const answer = await postImage(url, await selfie(), readCredentials(printed));
    expect(answer).toMatchObject({ status: 200, body: { result: { status: 'LOW' } } });
    expect(await Promise.all(processes.map((process) => process.stop()))).toEqual([0, 0]);
  });
});

interface ImageFacts {
  config: { Env: string[]; User: string; Cmd: string[]; ExposedPorts: Record<string, object> };
  healthCheck: { Test: string[] };
}

function readCredentials(printed: string) {
  const read = (name: string) => new RegExp(`${name} +(\\S+)`).exec(printed)?.[1] ?? '';
  const pair = `${read('username')}:${read('password')}`;
  return {
    Authorization: `Basic ${Buffer.from(pair).toString('base64')}`,
    'x-api-key': read('x-api-key'),
  };
}
