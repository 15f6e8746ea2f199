import { validate } from 'dockerfile-utils';
import { findStep, parseDockerfile, type Stage } from './parse-dockerfile.js';

/** What a builder would refuse, and what our images must keep to. */
export function lintDockerfile(text: string): string[] {
  const stages = parseDockerfile(text);
  return [
    ...validate(text).map(describe),
    ...stages.flatMap((stage) => checkBase(stage, stages)),
    ...stages.filter(isImage).flatMap(checkImage),
  ];
}

function describe({ range, message }: ReturnType<typeof validate>[number]): string {
  const text = typeof message === 'string' ? message : message.value;
  return `Dockerfile:${range.start.line + 1}: ${text}`;
}

/** A stage that is run, not only copied from. */
export function isImage(stage: Stage): boolean {
  return findStep(stage, 'CMD') !== undefined;
}

const VERSION = /:[^:]*\d+\.\d+\.\d+[^:]*$/;

function checkBase({ name, base, steps }: Stage, stages: Stage[]): string[] {
  const isStage = stages.some((stage) => stage.name === base);
  return complain(name, [
    [isStage || VERSION.test(base), `is made from ${base}, which is no exact version`],
    [steps.every(({ keyword }) => keyword !== 'ADD'), 'uses ADD: COPY fetches nothing'],
  ]);
}

function checkImage(stage: Stage): string[] {
  const [user = 'root'] = findStep(stage, 'USER')?.args ?? [];
  const copies = stage.steps.filter(({ keyword }) => keyword === 'COPY');
  const copied = new Set(copies.flatMap(({ args }) => args));
  const labels = findStep(stage, 'LABEL')?.text ?? '';
  return complain(stage.name, [
    [/^[1-9]\d*:[1-9]\d*$/.test(user), `runs as ${user}: a cluster must see that it is not root`],
    [(findStep(stage, 'HEALTHCHECK')?.text ?? 'NONE') !== 'NONE', 'has no HEALTHCHECK'],
    [findStep(stage, 'CMD')?.isJson, 'starts a shell, which keeps the signals from node'],
    [['LICENSE', 'NOTICE'].every((file) => copied.has(file)), 'lacks LICENSE or NOTICE'],
    [labels.includes('org.opencontainers.image.licenses'), 'has no labels'],
  ]);
}

function complain(stage: string, rules: [unknown, string][]): string[] {
  return rules.filter(([kept]) => !kept).map(([, problem]) => `stage ${stage} ${problem}`);
}
