import { expect, it } from 'vitest';
import { findStep, parseDockerfile, readEnv } from './dockerfile.js';

const dockerfile = `
# a comment
FROM node:24.0.0-slim AS base
ENV A=1 B="two words"
FROM base AS app
ENV A=2 C=x=y
COPY --from=base --chown=1:2 a b ./
RUN one && \\
    two
CMD ["node", "main.js"]
`;
const stages = parseDockerfile(dockerfile);

it('parseDockerfile lists every stage with its base', () => {
  expect(stages.map(({ name, base }) => [name, base])).toEqual([
    ['base', 'node:24.0.0-slim'],
    ['app', 'base'],
  ]);
});

it('readEnv merges the ENV of a stage over the ENV of its base stages', () => {
  expect(readEnv(stages, 'app')).toEqual({ A: '2', B: 'two words', C: 'x=y' });
});

it('findStep separates arguments from flags, and the exec form from the shell form', () => {
  const app = stages[1]!;
  expect(findStep(app, 'COPY')).toMatchObject({ args: ['a', 'b', './'] });
  expect(findStep(app, 'CMD')).toMatchObject({ isJson: true, args: ['node', 'main.js'] });
  expect(findStep(app, 'RUN')).toMatchObject({ isJson: false });
  expect(findStep(app, 'RUN')!.text).toMatch(/^one && +two$/);
});
