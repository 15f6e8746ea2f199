// Edits a credentials file: `npm run credentials`, or `docker compose run credentials`.
import { runCredentialsCli } from './cli.js';

try {
  console.log(await runCredentialsCli(process.argv.slice(2), process.env));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
