import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { hostname, tmpdir, userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { pino } from 'pino';
import { describe, expect, it, onTestFinished } from 'vitest';
import { runCredentialsCli } from './cli.js';
import { matchesHash, openCredentialBook, tenantPermissions } from './credential-book.js';

const log = pino({ level: 'silent' });

async function createFile(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'livegate-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  return join(folder, 'credentials.json');
}

async function openBook(file: string | undefined, production = false) {
  const book = await openCredentialBook({ file, production, log });
  onTestFinished(() => book.close());
  return book;
}

/** Runs the CLI and reads the secrets it printed. */
async function create(file: string, tenant: string, ...options: string[]) {
  const args = ['create', '--tenant', tenant, '--file', file, ...options];
  const printed = await runCredentialsCli(args, {});
  const read = (name: string) => new RegExp(`${name} +(\\S+)`).exec(printed)?.[1] ?? '';
  return { username: read('username'), password: read('password'), apiKey: read('x-api-key') };
}

describe('the credentials CLI', () => {
  it('creates secrets of which the file holds only hashes', async () => {
    const file = await createFile();
    const { username, password, apiKey } = await create(file, 'acme');
    const content = await readFile(file, 'utf8');
    expect(content).not.toContain(password);
    expect(content).not.toContain(apiKey);
    const found = (await openBook(file, true)).find(username);
    expect(found).toMatchObject({ tenant: 'acme', permissions: tenantPermissions });
    expect(matchesHash(password, found?.password_sha256 ?? '')).toBe(true);
    expect(matchesHash(apiKey, found?.api_key_sha256 ?? '')).toBe(true);
  });

  it('makes the file readable by its owner only', async () => {
    const file = await createFile();
    await create(file, 'acme');
    expect((await stat(file)).mode & 0o077).toBe(0);
  });

  it('sets the quality policy of a new and of an existing credential, and lists it', async () => {
    const file = await createFile();
    const { username } = await create(file, 'acme', '--quality', 'report');
    const policyInFile = async () => (await openBook(file)).find(username)?.quality;
    expect(await policyInFile()).toBe('report');
    const set = (...args: string[]) => runCredentialsCli(['set', '--file', file, ...args], {});
    await set('--username', username, '--quality', 'enforce');
    expect(await policyInFile()).toBe('enforce');
    expect(await runCredentialsCli(['list', '--file', file], {})).toContain('quality enforce');
    await expect(set('--username', username, '--quality', 'strict')).rejects.toThrow(/quality/);
    await expect(set('--username', 'nobody', '--quality', 'report')).rejects.toThrow(/nobody/);
    expect(await policyInFile()).toBe('enforce');
  });

  it.each(['weight', 'rate-limit-per-minute', 'other-requests-per-minute'])(
    'sets --%s of a new and of an existing credential, and lists it',
    async (option) => {
      const file = await createFile();
      const { username } = await create(file, 'acme', `--${option}`, '5');
      const field = option.replaceAll('-', '_') as 'weight';
      const valueInFile = async () => (await openBook(file)).find(username)?.[field];
      expect(await valueInFile()).toBe(5);
      const run = (...args: string[]) => runCredentialsCli([...args, '--file', file], {});
      await run('set', '--username', username, `--${option}`, '7');
      expect(await valueInFile()).toBe(7);
      expect(await run('list')).toContain(`${field} 7`);
      for (const wrong of ['', 'many', '1.5', '-1']) {
        const set = run('set', '--username', username, `--${option}=${wrong}`);
        await expect(set).rejects.toThrow(new RegExp(field));
      }
      expect(await valueInFile()).toBe(7);
    },
  );

  it('lists credentials without secrets, and revokes a single one', async () => {
    const file = await createFile();
    const first = await create(file, 'acme');
    const second = await create(file, 'acme');
    await runCredentialsCli(['revoke', '--username', first.username], {
      LIVEGATE_CREDENTIALS_FILE: file,
    });
    const listed = await runCredentialsCli(['list', '--file', file], {});
    expect(listed).toContain(second.username);
    expect(listed).not.toContain(first.username);
    expect(listed).not.toContain(second.password);
  });

  it('sets and shows when a credential expires, and shows its last use', async () => {
    const file = await createFile();
    const { username } = await create(file, 'acme', '--not-after', '2020-01-01');
    const list = (...args: string[]) =>
      runCredentialsCli(['list', '--file', file, ...args], {}, async () => ['2026-11-26T10:00Z']);
    expect(await list()).toMatch(/expired 2020-01-01T00:00:00.000Z$/);
    const set = ['set', '--file', file, '--username', username, '--not-after'];
    await runCredentialsCli([...set, '2999-01-01'], {});
    expect(await list('--used')).toMatch(/expires 2999-01-01.*, last used 2026-11-26T10:00Z$/);
    await expect(runCredentialsCli([...set, 'soon'], {})).rejects.toThrow(/--not-after soon/);
  });

  it('writes who changed what and when, also of a revoked credential', async () => {
    const file = await createFile();
    const { username, password } = await create(file, 'acme');
    await runCredentialsCli(
      ['set', '--file', file, '--username', username, '--quality', 'report'],
      {},
    );
    const by = `${userInfo().username}@${hostname()}`;
    const [changed] = JSON.parse(await readFile(file, 'utf8')).credentials;
    expect(changed).toMatchObject({ created_by: by, changed_by: by });
    await runCredentialsCli(['revoke', '--file', file, '--username', username], {});
    const text = await readFile(`${file}.changes`, 'utf8');
    const lines = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.map(({ change }) => change)).toEqual(['created', 'changed', 'revoked']);
    for (const line of lines) {
      expect(line).toMatchObject({ by, username, at: expect.stringMatching(/^\d{4}-/) });
    }
    expect(text).not.toContain(password);
    expect((await stat(`${file}.changes`)).mode & 0o077).toBe(0);
  });

  it('refuses to revoke an unknown username', async () => {
    const file = await createFile();
    await expect(
      runCredentialsCli(['revoke', '--username', 'nobody', '--file', file], {}),
    ).rejects.toThrow(/nobody/);
  });

  it('refuses an invalid tenant name and leaves no file behind', async () => {
    const file = await createFile();
    await expect(create(file, 'a b/c')).rejects.toThrow(/tenant/);
    expect(await readdir(dirname(file))).toEqual([]);
  });

  it('grants all permissions of a tenant, or only the named ones', async () => {
    const file = await createFile();
    const { username } = await create(file, 'operations', '--permission', 'queue-board');
    const permissions = ['queue-board'];
    expect((await openBook(file)).find(username)).toMatchObject({ permissions });
    expect(tenantPermissions).not.toContain('queue-board');
    await expect(create(file, 'acme', '--permission', 'everything')).rejects.toThrow(/queue-board/);
  });

  it('prints its usage when the command is wrong', async () => {
    await expect(runCredentialsCli(['create'], {})).rejects.toThrow(/Usage/);
  });
});

describe('the credential book', () => {
  it('reloads a changed file without a restart', async () => {
    const file = await createFile();
    const first = await create(file, 'acme');
    const book = await openBook(file);
    const second = await create(file, 'globex');
    await expect.poll(() => book.find(second.username)?.tenant).toBe('globex');
    expect(book.find(first.username)?.tenant).toBe('acme');
  });

  it('logs the names that a reload adds, changes and removes, and those that expire', async () => {
    const file = await createFile();
    const kept = await create(file, 'acme');
    const gone = await create(file, 'acme');
    await create(file, 'globex', '--weight', '3');
    const lines: string[] = [];
    const listening = pino({}, { write: (line) => lines.push(line) });
    const book = await openCredentialBook({ file, production: false, log: listening });
    onTestFinished(() => book.close());
    const { credentials } = JSON.parse(await readFile(file, 'utf8'));
    const soon = new Date(Date.now() + 60_000).toISOString();
    const added = { ...credentials[0], username: 'added', not_after: '2020-01-01T00:00:00Z' };
    expect(book.weightOf('globex')).toBe(3);
    const after = [{ ...credentials[0], not_after: soon }, added, credentials[2]];
    await writeFile(file, JSON.stringify({ credentials: after }));
    await expect.poll(() => lines.length).toBe(2);
    const [reloaded, expire] = lines.map((line) => JSON.parse(line));
    expect(reloaded).toMatchObject({
      msg: 'credentials reloaded',
      added: ['added'],
      removed: [gone.username],
      changed: [kept.username],
    });
    expect(expire).toMatchObject({
      msg: 'credentials expire',
      expired: ['added'],
      expiring: [kept.username],
    });
    expect(lines.join('')).not.toMatch(/[0-9a-f]{64}/);
  });

  it('keeps the previous credentials while the new file is invalid', async () => {
    const file = await createFile();
    const { username } = await create(file, 'acme');
    const errors: string[] = [];
    const listening = pino({ level: 'error' }, { write: (line) => errors.push(line) });
    const book = await openCredentialBook({ file, production: false, log: listening });
    onTestFinished(() => book.close());
    await writeFile(file, '{');
    await expect.poll(() => errors.join('')).toContain('not reloaded');
    expect(book.find(username)?.tenant).toBe('acme');
  });

  it('refuses a missing or invalid file and says why', async () => {
    const file = await createFile();
    await expect(openBook(file)).rejects.toThrow(/credentials.json/);
    await writeFile(file, '{"credentials":[{"tenant":"acme"}]}');
    await expect(openBook(file)).rejects.toThrow(
      /^the credentials in .+json cannot be used: .+json has invalid credentials:\n.*username/s,
    );
  });

  it('refuses two credentials with the same username', async () => {
    const file = await createFile();
    await create(file, 'acme');
    const { credentials } = JSON.parse(await readFile(file, 'utf8'));
    await writeFile(file, JSON.stringify({ credentials: [...credentials, ...credentials] }));
    await expect(openBook(file)).rejects.toThrow(/unique/);
  });

  it('accepts the published development credentials, but never in production', async () => {
    expect((await openBook(undefined)).find('default-username')?.tenant).toBe('development');
    await expect(openBook(undefined, true)).rejects.toThrow(/NODE_ENV=production/);
  });

  it('refuses a file with a published secret in production', async () => {
    const file = await createFile();
    await create(file, 'acme');
    const { credentials } = JSON.parse(await readFile(file, 'utf8'));
    const published = (await openBook(undefined)).find('default-username');
    for (const secret of ['password_sha256', 'api_key_sha256'] as const) {
      const change = { [secret]: published?.[secret] };
      const [own] = credentials;
      const both = [own, { ...own, username: 'copied', ...change }];
      await writeFile(file, JSON.stringify({ credentials: both }));
      await expect(openBook(file, true)).rejects.toThrow(/NODE_ENV=production/);
    }
  });
});
