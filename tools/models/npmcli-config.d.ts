// @npmcli/config ships no types; these are the parts that are used.
declare module '@npmcli/config' {
  import type { Options } from 'pacote';

  class Config {
    constructor(options: {
      definitions: object;
      shorthands: object;
      flatten: object;
      npmPath: string;
      argv: string[];
      env: NodeJS.ProcessEnv;
      cwd: string;
    });
    load(): Promise<void>;
    /** The settings under the names that pacote and npm-registry-fetch use. */
    get flat(): Options;
  }
  export = Config;
}

declare module '@npmcli/config/lib/definitions/index.js' {
  const npmDefinitions: { definitions: object; shorthands: object; flatten: object };
  export = npmDefinitions;
}
