// `node probe.mjs URL`: ends with 0 when the answer is a 2xx. Slim images have no curl.
const { ok } = await fetch(process.argv[2]);
process.exit(ok ? 0 : 1);
