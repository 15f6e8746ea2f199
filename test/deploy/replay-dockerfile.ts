import { execFile } from 'node:child_process';
import { mkdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { parseDockerfile, readEnv, type Stage, type Step } from './parse-dockerfile.js';
import { copyFiles, linkFiles, readContext, type Place } from './copy-files.js';

const run = promisify(execFile);
const repository = resolve(import.meta.dirname, '../..');

/** They describe the image, and change no file in it. */
const METADATA = 'ARG CMD ENTRYPOINT ENV EXPOSE HEALTHCHECK LABEL USER'.split(' ');

/** How the user's npm finds its registry and its cache; nothing else of ours is in a build. */
const USERS_ENV = /^(HOME|NODE_EXTRA_CA_CERTS|npm_config_(cache|registry|userconfig)|\w+_proxy)$/i;

export interface ReplayOptions {
  folder: string;
  /** Where the `node` of the base image is. */
  nodeBin: string;
}

/** A stage after its last step: `root` holds what the steps put there, and not the base image. */
export interface Image extends Place {
  stage: Stage;
  env: Record<string, string>;
}

/**
 * Does with our Dockerfile what a builder would, each stage in a folder of its own: COPY copies, from
 * the context only what .dockerignore lets through, and RUN runs. Throws at an instruction that it does
 * not know. Paths in a RUN are not confined to the folder, so they must be relative.
 */
export async function replayDockerfile({ folder, nodeBin }: ReplayOptions) {
  const stages = parseDockerfile(await readFile(join(repository, 'Dockerfile'), 'utf8'));
  const context = await readContext(repository);
  const images = new Map<string, Promise<Image>>();
  return { make };

  /** Makes a stage once, and what it needs, as a builder does: side by side. */
  function make(name: string): Promise<Image> {
    const image = images.get(name) ?? build(name);
    images.set(name, image);
    return image;
  }

  async function build(name: string): Promise<Image> {
    const stage = stages.find((candidate) => candidate.name === name);
    if (!stage) throw new Error(`the Dockerfile has no stage ${name}`);
    const sources = stage.steps.flatMap(({ flags }) => flags['from'] ?? []);
    const [image] = await Promise.all([startFrom(stage), ...sources.map(make)]);
    for (const step of stage.steps) await take(step, image);
    return image;
  }

  async function startFrom(stage: Stage): Promise<Image> {
    const root = join(folder, stage.name);
    const env = readEnv(stages, stage.name);
    if (stages.every(({ name }) => name !== stage.base)) {
      await mkdir(root);
      return { stage, root, workdir: '/', env };
    }
    const base = await make(stage.base);
    await linkFiles(base.root, root);
    return { stage, root, workdir: base.workdir, env };
  }

  async function take(step: Step, image: Image): Promise<void> {
    const from = step.flags['from'];
    if (step.keyword === 'COPY') await copyFiles(step, from ? await make(from) : context, image);
    else if (step.keyword === 'RUN') await runStep(step, image);
    else if (step.keyword === 'WORKDIR') await enter(step, image);
    else if (!METADATA.includes(step.keyword)) throw new Error(`cannot replay ${step.keyword}`);
  }

  async function runStep({ text }: Step, { root, workdir, env }: Image): Promise<void> {
    const ours = Object.entries(process.env).filter(([key]) => USERS_ENV.test(key));
    const path = `${nodeBin}:${process.env['PATH']}`;
    await run('sh', ['-c', text], {
      cwd: join(root, workdir),
      env: { ...Object.fromEntries(ours), PATH: path, ...env },
    });
  }
}

async function enter({ text }: Step, image: Image): Promise<void> {
  image.workdir = text;
  await mkdir(join(image.root, text), { recursive: true });
}
