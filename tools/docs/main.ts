// npm run docs:config: writes the pages that are made from the code.
// bootstrap.mjs has installed, built, and changed to the repository's root.
import { readFile, writeFile } from 'node:fs/promises';
import { writeConfigurationPage } from './configuration-page.js';
import { type Lock, writeLicences } from './licences.js';

const page = writeConfigurationPage(await readFile('.env.example', 'utf8'));
await writeFile('docs/reference/configuration.md', page);

const lock = JSON.parse(await readFile('package-lock.json', 'utf8')) as Lock;
await writeFile('NOTICE', writeLicences(await readFile('NOTICE', 'utf8'), lock));
