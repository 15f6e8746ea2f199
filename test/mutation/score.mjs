// Prints the score of each module in the last report, and its survivors. Fails below 85 %.
import { readFileSync } from 'node:fs';

/**
 * The files of a module begin with one of its paths. The first module that fits has a file: the last
 * one has all that are left.
 */
const modules = {
  'image header': ['packages/core/src/domain/image/image-header'],
  'image colors': ['apps/worker/src/inference/decode/'],
  domain: ['packages/core/src/domain/'],
  admission: ['apps/api/src/admission/'],
  idempotency: ['apps/api/src/checks/claim-key.ts'],
  batcher: ['apps/worker/src/scheduling/batcher.ts'],
  scheduling: ['apps/worker/src/scheduling/'],
  webhooks: ['apps/api/src/webhooks/'],
  headers: [
    'apps/api/src/contract/preference.ts',
    'apps/api/src/credentials/authenticate.ts',
    'apps/api/src/http/base-url.ts',
    'apps/api/src/http/identify-request.ts',
  ],
  upload: ['apps/api/src/http/upload/'],
  forms: [
    'apps/api/src/contract/sessions.ts',
    'apps/api/src/http/read-json-body.ts',
    'apps/api/src/sessions/read-creation.ts',
  ],
  configuration: ['apps/', 'packages/'],
};
const LEAST_PERCENT = 85;
/** An error means that Stryker could not run the tests, or that one failed outside of a test. */
const survivals = { Survived: '', NoCoverage: ', not covered', RuntimeError: ', error' };

const { files } = JSON.parse(readFileSync('.data/mutation/report.json', 'utf8'));
const moduleOf = (path) =>
  Object.keys(modules).find((name) => modules[name].some((start) => path.startsWith(start)));
const mutants = Object.entries(files).flatMap(([path, file]) =>
  file.mutants.map((mutant) => ({ ...mutant, path, module: moduleOf(path) })),
);

for (const name of Object.keys(modules)) {
  const own = mutants.filter(({ module }) => module === name);
  if (own.length === 0) continue;
  const killed = own.filter(({ status }) => status === 'Killed' || status === 'Timeout');
  const left = own.filter(({ status }) => status in survivals);
  const count = killed.length + left.length;
  const percent = (100 * killed.length) / count;
  console.log(`\n${name}: ${percent.toFixed(1)} %, ${left.length} of ${count} survive`);
  left.forEach(printMutant);
  if (percent < LEAST_PERCENT) process.exitCode = 1;
}

function printMutant({ path, location, mutatorName, replacement, status }) {
  const { start, end } = location;
  const line = files[path].source.split('\n')[start.line - 1];
  const text = line.slice(start.column - 1, end.line === start.line ? end.column - 1 : undefined);
  const change = `${shorten(text)} => ${shorten(replacement ?? '')}`;
  const place = `${path}:${start.line}:${start.column}`;
  console.log(`  ${place} ${mutatorName}${survivals[status]}: ${change}`);
}

function shorten(text) {
  const plain = text.replaceAll(/\s+/g, ' ').trim();
  return plain.length > 60 ? `${plain.slice(0, 60)}…` : plain;
}
