import { runCredentialsCli } from '@livegate/api/credentials/cli';

try {
  console.log(await runCredentialsCli(process.argv.slice(2), process.env));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
