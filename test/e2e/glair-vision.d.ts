/** The published package has types, but its `exports` hides them. */
declare module '@glair/vision' {
  export interface Settings {
    baseUrl?: string;
    apiKey?: string;
    username?: string;
    password?: string;
  }

  export class Vision {
    constructor(settings?: Settings);
    faceBio: {
      passiveLiveness(param: { image: string }, settings?: Settings): Promise<unknown>;
      passiveLivenessSessions: {
        create(param: { success_url: string; cancel_url?: string }): Promise<unknown>;
        retrieve(param: { sid: string }): Promise<unknown>;
      };
    };
  }

  export enum LogLevel {
    SILENT = 4,
  }
  export function setLogLevel(level: LogLevel): void;
}
