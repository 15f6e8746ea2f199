// `node probe.mjs URL` exits with 0 if the answer is 2xx. Slim images have no curl.
const { ok } = await fetch(process.argv[2]);
process.exit(ok ? 0 : 1);
