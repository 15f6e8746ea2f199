interface LockedPackage {
  license?: string;
  dependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
  link?: boolean;
  resolved?: string;
}

export interface Lock {
  packages: Record<string, LockedPackage>;
}

/** The programs that the images run. */
const apps = ['apps/api', 'apps/worker'];
const BEGIN = 'LIBRARIES\n';
const END = '\nTHE PAGE OF HOSTED SESSIONS\n';

/** NOTICE with the list of the libraries that the images contain, by licence, from the lock file. */
export function writeLicences(notice: string, lock: Lock): string {
  const start = notice.includes(BEGIN) ? notice.indexOf(BEGIN) : notice.indexOf(END) + 1;
  const section = `${BEGIN}
The images of gateway and worker contain these packages of npm, in the versions of
package-lock.json, each with the text of its licence. libvips and the libraries in it come as the
packages @img/sharp-libvips-*, under the LGPL, version 3 or later: they are separate shared
libraries, which may be replaced. Their sources are at github.com/lovell/sharp-libvips.
\`npm run docs:config\` writes this list.

${listByLicence(lock).join('\n')}
`;
  return notice.slice(0, start) + section + notice.slice(notice.indexOf(END));
}

function listByLicence({ packages }: Lock): string[] {
  const byLicence = new Map<string, Set<string>>();
  for (const path of findUsed(packages)) {
    const licence = packages[path]?.license ?? 'unknown';
    const name = path.split('node_modules/').at(-1) ?? path;
    byLicence.set(licence, (byLicence.get(licence) ?? new Set()).add(name));
  }
  const licences = [...byLicence].toSorted(([a], [b]) => a.localeCompare(b));
  return licences.map(([licence, names]) =>
    wrap(`${licence}: ${[...names].toSorted().join(', ')}`),
  );
}

/** Paths of everything that the apps depend on, as npm resolves it: the nearest node_modules first. */
function findUsed(packages: Lock['packages']): Set<string> {
  const used = new Set<string>();
  const waiting = [...apps];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    const { dependencies = {}, optionalDependencies = {} } = packages[path] ?? {};
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) {
      const found = resolve(packages, path, name);
      if (found === undefined || used.has(found)) continue;
      if (!packages[found]?.link) used.add(found);
      waiting.push(packages[found]?.link ? (packages[found].resolved ?? found) : found);
    }
  }
  return used;
}

function resolve(packages: Lock['packages'], from: string, name: string): string | undefined {
  const folders = from.split('/').map((_, i, parts) => parts.slice(0, parts.length - i).join('/'));
  const places = [...folders, ''].map((folder) => `${folder}${folder && '/'}node_modules/${name}`);
  return places.find((place) => place in packages);
}

/** At 100 columns, with an indent. */
function wrap(text: string): string {
  const lines = [''];
  for (const word of text.split(' ')) {
    const line = lines.at(-1) ?? '';
    if (`  ${line} ${word}`.length > 100) lines.push(`  ${word}`);
    else lines[lines.length - 1] = line === '' ? `  ${word}` : `${line} ${word}`;
  }
  return lines.join('\n  ').trimEnd();
}
