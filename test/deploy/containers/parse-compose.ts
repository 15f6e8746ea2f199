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

/** The part of docker-compose.yml that the checks read; dclint validates the whole schema. */
export interface ComposeFile {
  services: Record<string, Service>;
  networks: Record<string, { internal?: boolean }>;
}

export function parseCompose(text: string): ComposeFile {
  return parse(text, { merge: true }) as ComposeFile;
}

/** Replaces variables by their defaults: `${PORT:-8080}` becomes 8080. */
export function withDefaults(value: string | number): string {
  return String(value).replaceAll(/\$\{\w+:?-([^}]*)\}/g, '$1');
}
