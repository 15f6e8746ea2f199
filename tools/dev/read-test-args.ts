/** Our own options of `npm test` and `npm run fuzz`, and the variables in which tests read them. */
const options: Record<string, string> = {
  '--cases': 'TEST_CASES',
  '--seconds': 'TEST_SECONDS',
  '--seed': 'TEST_SEED',
  '--path': 'TEST_PATH',
};
/** Of these, only the path is not a number. */
const isNumber = (name: string) => name !== '--path';

export interface TestArgs {
  /** Without our own options, and without --install, which is for Redis. */
  vitestArgs: string[];
  settings: Record<string, string>;
}

/** Accepts `--seed 7` and `--seed=7`. Throws an Error for a value that is missing or not a number. */
export function readTestArgs(args: string[]): TestArgs {
  const vitestArgs: string[] = [];
  const settings: Record<string, string> = {};
  const left = [...args];
  for (let arg = left.shift(); arg !== undefined; arg = left.shift()) {
    const [name = '', given] = arg.split(/=(.*)/s);
    const variable = options[name];
    if (variable !== undefined) settings[variable] = requireValue(name, given ?? left.shift());
    else if (arg !== '--install') vitestArgs.push(arg);
  }
  return { vitestArgs, settings };
}

function requireValue(name: string, value: string | undefined): string {
  if (value === undefined) throw new Error(`${name} needs a value`);
  if (isNumber(name) && !/^\d+$/.test(value)) {
    throw new Error(`${name} needs a whole number, not "${value}"`);
  }
  return value;
}
