import { writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { format, resolveConfig } from 'prettier';
import type { Fault } from './faults/fault.js';
import type { FaultReport } from './run-fault.js';

const FILE = 'docs/reference/faults.md';

/** Collects what was measured, and writes it as the page of faults once it has all of them. */
export function createFaultsPage() {
  const sections: string[] = [];
  let missing = 0;

  return {
    /** To be called for each fault of the page, before any is measured. */
    expectOne: () => void (missing += 1),
    skip: () => void (missing -= 1),
    add(fault: Fault, report: FaultReport): void {
      sections.push(describeFault(fault, report));
      missing -= 1;
    },
    /** A run of some faults must not replace the page of all. */
    async writeIfComplete(): Promise<void> {
      if (missing > 0) return;
      const page = `${INTRODUCTION}\n${describeRun()}\n${sections.join('\n')}`;
      await writeFile(FILE, await format(page, { ...(await resolveConfig(FILE)), filepath: FILE }));
    },
  };
}

const INTRODUCTION = `# Faults

What Livegate promises when something fails, and how long it took to recover.

Always, during and after each fault: an accepted check ends exactly once, with one verdict, which is
that of its own image. A caller gets an answer or a JSON error within its limit. One
Idempotency-Key, one check. A deleted check is gone. Webhooks arrive at least once. Afterwards no
lease is held, and no key of ended work is left in Redis.

\`npm run test:chaos\` writes this page; \`npm test\` runs some of the faults. Two gateways and two
workers with tiny models get 20 callers a second of two tenants, who wait, poll, repeat, cancel and
delete. "Recovers" is the time from the end of the fault until every gateway has answered a new check
with its verdict. "Settles" is the time until every accepted check had ended, every webhook had
arrived and nothing was left; at least a second of it is further load.
`;

function describeRun(): string {
  const [cpu] = cpus();
  const date = new Date().toISOString().slice(0, 10);
  const machine = `${cpus().length} cores (${cpu?.model.trim()}), Node ${process.versions.node}`;
  return `Measured on ${date} with \`npm run test:chaos\` on a shared machine: ${machine}.\n`;
}

function describeFault(
  { name, promise, holdMs }: Fault,
  { violations, recoveryMs, settledMs, accepted, refused, lost }: FaultReport,
): string {
  const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;
  const broken = violations.length > 0 ? `- **Broken**: ${violations.join('; ')}\n` : '';
  return `## ${name}

${promise}

- Lasted ${seconds(holdMs)}. Recovers: ${seconds(recoveryMs)}. Settles: ${seconds(settledMs)}.
- Requests: ${accepted} accepted, ${refused} refused, ${lost} without an answer.
${broken}`;
}
