import { expect, it } from 'vitest';
import { findProblems, readSources } from './find-problems.js';
import { mutations } from './mutations.js';

const sources = await readSources();

it('Dockerfile, docker-compose.yml, k8s/ and observability/ have no problem', async () => {
  expect(await findProblems(sources)).toEqual([]);
});

it.each(Object.entries(mutations))('findProblems reports %s', async (_, [file, from, to]) => {
  expect(sources[file]).toContain(from);
  const spoilt = { ...sources, [file]: sources[file].replace(from, to) };
  expect(await findProblems(spoilt)).not.toEqual([]);
});
