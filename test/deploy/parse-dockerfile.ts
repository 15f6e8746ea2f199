import {
  DockerfileParser,
  Env,
  From,
  JSONInstruction,
  ModifiableInstruction,
  type Instruction,
} from 'dockerfile-ast';

/** One instruction within a stage. */
export interface Step {
  keyword: string;
  flags: Record<string, string>;
  /** The words after the flags; of the form in brackets, its strings. */
  args: string[];
  isJson: boolean;
  /** All after the flags, on one line. */
  text: string;
}

export interface Stage {
  name: string;
  /** Another stage, or an image. */
  base: string;
  steps: Step[];
}

/** The stages of a Dockerfile, in their order. Arguments before the first FROM are not known. */
export function parseDockerfile(text: string): Stage[] {
  const stages: Stage[] = [];
  for (const instruction of DockerfileParser.parse(text).getInstructions()) {
    if (instruction instanceof From) stages.push(startStage(instruction));
    else stages.at(-1)?.steps.push(readStep(instruction));
  }
  return stages;
}

/** What ENV sets in a stage, and in the stages that it is made from. */
export function readEnv(stages: Stage[], name: string): Record<string, string> {
  const stage = stages.find((candidate) => candidate.name === name);
  if (!stage) return {};
  const own = stage.steps.filter(({ keyword }) => keyword === 'ENV').map(({ args }) => args);
  return Object.assign(readEnv(stages, stage.base), ...own.map(toObject)) as Record<string, string>;
}

/** The last of its kind, which is the one in force. */
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
    flags: readFlags(instruction),
    args: isJson ? strings.map((string) => string.getJSONValue()) : readWords(instruction),
    isJson,
    text: instruction.getArgumentsContent() ?? '',
  };
}

function readFlags(instruction: Instruction): Record<string, string> {
  if (!(instruction instanceof ModifiableInstruction)) return {};
  const flags = instruction.getFlags().map((flag) => [flag.getName(), flag.getValue() ?? '']);
  return Object.fromEntries(flags) as Record<string, string>;
}

/** Of ENV, each setting as `NAME=VALUE` without its quotes. */
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
