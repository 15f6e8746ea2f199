// npm run audit: fails for an advisory about a library of the images that .ci/audit-exceptions.json does
// not name, with a reason and a last day.
import { spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import {
  type AdvisoryException,
  type AdvisoryReport,
  judgeAdvisories,
} from './judge-advisories.js';

const { stdout } = spawnSync('npm', ['audit', '--omit=dev', '--json'], { encoding: 'utf8' });
const report = JSON.parse(stdout || '{}') as AdvisoryReport;
const known = JSON.parse(
  await readFile('.ci/audit-exceptions.json', 'utf8'),
) as AdvisoryException[];
const problems = judgeAdvisories(report, known, new Date().toISOString().slice(0, 10));
for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exitCode = 1;
