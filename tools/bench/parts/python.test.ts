import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { findMissing, measurePython, withoutMathSettings } from './python.js';

test('without the sources of the Python pipeline, the bench says so and quotes no figure', async () => {
  const said: string[] = [];
  const bench = { pythonDir: undefined } as never;
  expect(await measurePython(bench, (line) => said.push(line))).toEqual([]);
  expect(said).toEqual([expect.stringMatching(/^not measured, .*: --python DIR names/)]);
});

// Where PyTorch is installed, its import alone takes seconds.
test(
  'a folder without weights is named, and packages that are not installed',
  { timeout: 60_000 },
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'livegate-python-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const weights = join(folder, 'resources/anti_spoof_models');
    expect(findMissing(folder)).toBe(`${weights} does not exist`);
    mkdirSync(weights, { recursive: true });
    expect([
      undefined,
      'it takes two cores',
      'taskset is not installed',
      'apt-get install python3-torch python3-opencv python3-pil libopenblas0',
    ]).toContain(findMissing(folder));
  },
);

test('Python runs without the settings that a machine has for BLAS, oneDNN and OpenMP', () => {
  const machine = {
    OPENBLAS_CORETYPE: 'Haswell',
    ONEDNN_MAX_CPU_ISA: 'AVX2',
    OMP_NUM_THREADS: '4',
  };
  expect(withoutMathSettings({ ...machine, PATH: '/bin' })).toEqual({ PATH: '/bin' });
});
