import { parse } from 'yaml';

export interface Service {
  image: string;
  user?: string;
  command?: string[];
  build?: { target: string };
  profiles?: string[];
  environment?: Record<string, string | number>;
  volumes?: string[];
  ports?: string[];
  networks?: string[];
  network_mode?: string;
  healthcheck?: { test: string[] };
  read_only?: boolean;
  cap_drop?: string[];
  security_opt?: string[];
  stop_grace_period?: string;
}

/** As much of docker-compose.yml as the checks look at; its schema knows the rest. */
export interface ComposeFile {
  services: Record<string, Service>;
  networks: Record<string, { internal?: boolean }>;
}

export function parseCompose(text: string): ComposeFile {
  return parse(text, { merge: true }) as ComposeFile;
}

/** What a variable of the file stands for when nobody sets it: `${PORT:-8080}` is 8080. */
export function withDefaults(value: string | number): string {
  return String(value).replaceAll(/\$\{\w+:?-([^}]*)\}/g, '$1');
}
