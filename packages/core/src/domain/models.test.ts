import { expect, test } from 'vitest';
import { describeModels, type ModelFacts } from './models.js';

test('models are named with their versions and the first digits of their hashes', () => {
  const models: ModelFacts[] = [
    { name: 'fr-detect', version: '0.0.1', sha256: '0123456789ab', task: 'detect' },
    { name: 'fr-liveness', version: '0.0.2', sha256: '89abcdef0123', task: 'classify' },
  ];
  expect(describeModels(models)).toBe('fr-detect/0.0.1+01234567, fr-liveness/0.0.2+89abcdef');
});
