import { apiConfigSchema } from '@livegate/api/gateway/config';
import { workerConfigSchema } from '@livegate/worker/config';

/** What JSON Schema says of one setting. */
interface Schema {
  type?: string;
  default?: string | number | boolean;
  enum?: string[];
  minimum?: number;
  maximum?: number;
  anyOf?: Schema[];
}

const introduction = `# Configuration

<!-- Written by \`npm run docs:config\` from the config schemas and .env.example. Do not edit. -->

Gateway and worker read these environment variables once, at their start. A wrong value stops the
start with a list of every problem. An empty variable counts as unset. Every \`npm\` command but
\`npm test\` also reads a file \`.env\`; variables of the environment win over it.

Traces and metrics have the standard \`OTEL_*\` variables:
[Export traces and metrics](../how-to/telemetry.md).`;

/** The page `docs/reference/configuration.md`. Values come from the code, texts from `.env.example`. */
export function writeConfigurationPage(envExample: string): string {
  const texts = readTexts(envExample);
  const api = schemasOf(apiConfigSchema);
  const worker = schemasOf(workerConfigSchema);
  const keys = [...texts.keys()];
  const sections: [title: string, keys: string[]][] = [
    ['Gateway and worker', keys.filter((key) => api[key] && worker[key])],
    ['Gateway', keys.filter((key) => api[key] && !worker[key])],
    ['Worker', keys.filter((key) => !api[key] && worker[key])],
  ];
  const schemas = { ...api, ...worker };
  const describe = (key: string) => describeSetting(key, schemas[key]!, texts.get(key) ?? '');
  const parts = sections.map(([title, own], i) =>
    [`## ${title}`, ...(i === 0 ? [readRule(envExample)] : []), ...own.map(describe)].join('\n\n'),
  );
  return `${[introduction, ...parts].join('\n\n')}\n`;
}

function schemasOf(schema: typeof apiConfigSchema | typeof workerConfigSchema) {
  const describe = (io: 'input' | 'output') =>
    schema.toJSONSchema({ io, unrepresentable: 'any' }).properties as Record<string, Schema>;
  const output = describe('output');
  const defaults = schema.parse({}) as Record<string, string | number | boolean>;
  return Object.fromEntries(
    Object.entries(describe('input')).map(([key, input]): [string, Schema] => [
      key,
      {
        ...input,
        // A boolean is a text in the input, and an address is an object in the output.
        ...(output[key]?.type === 'boolean' && { type: 'boolean' }),
        ...(defaults[key] !== undefined && { default: defaults[key] }),
      },
    ]),
  );
}

/** What the headline of the shared settings says of them. */
function readRule(envExample: string): string {
  const [, rule = ''] = /^# --- api and worker: (.+) ---$/m.exec(envExample) ?? [];
  return `${rule.charAt(0).toUpperCase()}${rule.slice(1)}.`;
}

/** Each key with the comment above it. */
function readTexts(envExample: string): Map<string, string> {
  const entries = envExample.matchAll(/((?:^# (?![A-Z_]+=|---).*\n)*)^# ([A-Z_]+)=.*$/gm);
  return new Map(
    [...entries].map(([, comment = '', key = '']) => [key, comment.replaceAll(/^# /gm, '').trim()]),
  );
}

function describeSetting(key: string, schema: Schema, text: string): string {
  const { default: value } = schema;
  const shown = value === undefined ? 'unset' : `\`${value}\``;
  const linked = text.replaceAll(/docs\/([\w/-]+\.md)/g, '[$1](../$1)');
  return `### \`${key}\`\n\n${linked}\n\n- Value: ${describeValue(schema)}\n- Default: ${shown}`;
}

function describeValue({ type, enum: values, anyOf, ...limits }: Schema): string {
  if (anyOf) return `\`auto\`, or ${describeValue(anyOf[1]!)}`;
  if (values) return values.map((value) => `\`${value}\``).join(', ');
  if (type === 'boolean') return '`true` or `false`';
  if (type !== 'integer' && type !== 'number') return 'text';
  const kind = type === 'integer' ? 'whole number' : 'number';
  const { minimum, maximum = Number.MAX_SAFE_INTEGER } = limits;
  if (maximum < Number.MAX_SAFE_INTEGER) return `${kind} from ${minimum} to ${maximum}`;
  return `${kind} from ${minimum}`;
}
