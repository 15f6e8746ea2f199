// npm run containers:check: holds the Dockerfile and docker-compose.yml against their rules, our
// policies, the code and Kubernetes. bootstrap.mjs has built, and changed to the repository's root.
// What they build and start is tested by npm run test:containers.
import { findProblems } from './containers-check/find-problems.js';
import { mutations } from './containers-check/mutations.js';
import { readSources } from './containers-check/read-sources.js';

process.exitCode = await check();

/** 1 when something is wrong, or when a mistake made on purpose is not found. */
async function check(): Promise<number> {
  const sources = await readSources();
  const problems = await findProblems(sources);
  console.log(`${Object.keys(sources).length} files, ${problems.length} problems`);
  for (const problem of problems) console.log(`  ${problem}`);
  let missed = 0;
  for (const [mistake, [file, from, to]] of Object.entries(mutations)) {
    const [first] = await findProblems({ ...sources, [file]: sources[file].replace(from, to) });
    if (!first) missed++;
    console.log(`on purpose, ${mistake}: ${first ? `found (${first})` : 'NOT FOUND'}`);
  }
  return problems.length + missed > 0 ? 1 : 0;
}
