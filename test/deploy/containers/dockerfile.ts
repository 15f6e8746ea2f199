import { DockerfileParser, Env, From, JSONInstruction, type Instruction } from 'dockerfile-ast';
import { validate } from 'dockerfile-utils';

/** One instruction within a stage. */
export interface Step {
  keyword: string;
  /** The arguments after the flags; the strings of the exec form. */
  args: string[];
  isJson: boolean;
  /** Everything after the flags, on one line. */
  text: string;
}

export interface Stage {
  name: string;
  /** Name of another stage, or an image. */
  base: string;
  steps: Step[];
}

/** The stages of a Dockerfile in order. Ignores ARG before the first FROM. */
export function parseDockerfile(text: string): Stage[] {
  const stages: Stage[] = [];
  for (const instruction of DockerfileParser.parse(text).getInstructions()) {
    if (instruction instanceof From) stages.push(startStage(instruction));
    else stages.at(-1)?.steps.push(readStep(instruction));
  }
  return stages;
}

/** The ENV of a stage and of its base stages. */
export function readEnv(stages: Stage[], name: string): Record<string, string> {
  const stage = stages.find((candidate) => candidate.name === name);
  if (!stage) return {};
  const own = stage.steps.filter(({ keyword }) => keyword === 'ENV').map(({ args }) => args);
  return Object.assign(readEnv(stages, stage.base), ...own.map(toObject)) as Record<string, string>;
}

/** The last instruction with this keyword, which is the effective one. */
export function findStep(stage: Stage, keyword: string): Step | undefined {
  return stage.steps.findLast((step) => step.keyword === keyword);
}

function startStage(from: From): Stage {
  return { name: from.getBuildStage() ?? '', base: from.getImage() ?? '', steps: [] };
}

function readStep(instruction: Instruction): Step {
  const strings = instruction instanceof JSONInstruction ? instruction.getJSONStrings() : [];
  const isJson = instruction instanceof JSONInstruction && Boolean(instruction.getOpeningBracket());
  return {
    keyword: instruction.getKeyword(),
    args: isJson ? strings.map((string) => string.getJSONValue()) : readWords(instruction),
    isJson,
    text: instruction.getArgumentsContent() ?? '',
  };
}

/** The arguments; for ENV, `NAME=VALUE` without quotes. */
function readWords(instruction: Instruction): string[] {
  if (!(instruction instanceof Env)) return instruction.getArguments().map(String);
  return instruction
    .getProperties()
    .map((property) => `${property.getName()}=${property.getValue() ?? ''}`);
}

function toObject(settings: string[]): Record<string, string> {
  return Object.fromEntries(
    settings.map((setting) => {
      const [name = '', ...value] = setting.split('=');
      return [name, value.join('=')];
    }),
  );
}

/** Lists syntax errors and violations of our own policies. */
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

/** True for a final image, false for a stage that others copy from. */
export function isImage(stage: Stage): boolean {
  return findStep(stage, 'CMD') !== undefined;
}

/** A tag may be published again, a digest names one image. */
const VERSION = /:[^:@]*\d+\.\d+\.\d+[^:@]*@sha256:[0-9a-f]{64}$/;

function checkBase({ name, base, steps }: Stage, stages: Stage[]): string[] {
  const isStage = stages.some((stage) => stage.name === base);
  return complain(name, [
    [
      isStage || VERSION.test(base),
      `is based on ${base}, which is not an exact version with a digest`,
    ],
    [steps.every(({ keyword }) => keyword !== 'ADD'), 'uses ADD, which can download: use COPY'],
  ]);
}

function checkImage(stage: Stage): string[] {
  const [user = 'root'] = findStep(stage, 'USER')?.args ?? [];
  const copies = stage.steps.filter(({ keyword }) => keyword === 'COPY');
  const copied = new Set(copies.flatMap(({ args }) => args));
  const labels = findStep(stage, 'LABEL')?.text ?? '';
  return complain(stage.name, [
    [
      /^[1-9]\d*:[1-9]\d*$/.test(user),
      `runs as ${user}: use numeric ids, so that a cluster can verify that it is not root`,
    ],
    [(findStep(stage, 'HEALTHCHECK')?.text ?? 'NONE') !== 'NONE', 'has no HEALTHCHECK'],
    [findStep(stage, 'CMD')?.isJson, 'starts node through a shell, which does not forward signals'],
    [['LICENSE', 'NOTICE'].every((file) => copied.has(file)), 'lacks LICENSE or NOTICE'],
    [labels.includes('org.opencontainers.image.licenses'), 'has no labels'],
  ]);
}

function complain(stage: string, rules: [unknown, string][]): string[] {
  return rules.filter(([kept]) => !kept).map(([, problem]) => `stage ${stage} ${problem}`);
}
