import type { Express } from 'express';

interface Layer {
  name: string;
  /** The path of `app.use`; `/` without one. */
  rawPath: string | string[];
  route?: { path: string | string[]; methods: Record<string, boolean> };
  handle: { stack?: Layer[] };
}

/** A handler that Express calls for every path below `path`, whatever the method. */
export interface Mount {
  path: string;
  /** The name of the function; `<anonymous>` without one. */
  name: string;
}

export interface Route {
  method: string;
  /** In Express's syntax, with the paths of the routers around it. */
  path: string;
}

/** What is really registered in Express, in order. Routes for all methods only answer 405. */
export function listRoutes(app: Express): { routes: Route[]; mounts: Mount[] } {
  const { stack } = app.router as unknown as { stack: Layer[] };
  const found = { routes: [] as Route[], mounts: [] as Mount[] };
  walk(stack, '');
  return found;

  function walk(layers: Layer[], prefix: string): void {
    for (const { name, rawPath, route, handle } of layers) {
      const paths = [route ? route.path : rawPath].flat().map((path) => join(prefix, path));
      if (route) {
        const methods = isForAll(route.methods) ? [] : Object.keys(route.methods);
        found.routes.push(...methods.flatMap((method) => paths.map((path) => ({ method, path }))));
      } else if (handle.stack) {
        for (const path of paths) walk(handle.stack, path);
      } else {
        found.mounts.push(...paths.map((path) => ({ path, name })));
      }
    }
  }
}

/** Express stores `all` as every method that it knows. */
function isForAll(methods: Record<string, boolean>): boolean {
  return methods['_all'] ?? methods['trace'] ?? false;
}

function join(prefix: string, path: string): string {
  return path === '/' && prefix !== '' ? prefix : `${prefix.replace(/\/$/, '')}${path}`;
}
