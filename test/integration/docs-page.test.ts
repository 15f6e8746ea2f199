import { describe, expect, it } from 'vitest';
import {
  developmentCredential,
  hashSecret,
} from '../../apps/api/src/credentials/credential-book.js';
import { type GatewayTestOptions, startGateway } from '@livegate/testing/gateway/gateway';

async function readPage(options: GatewayTestOptions): Promise<string> {
  const { url } = await startGateway(options);
  const response = await fetch(`${url}/docs`);
  expect(response.status).toBe(200);
  return response.text();
}

const named = /default-username[^]*default-password[^]*default-api-key/;

describe('the page at /docs', () => {
  it('shows the development credentials and a webhook receiver if they are accepted', async () => {
    const page = await readPage({});
    expect(page).toMatch(named);
    expect(page).toContain('id="receiver"');
  });

  it.each([
    ['other credentials', { username: 'acme-user' }],
    ['another password', { password_sha256: hashSecret('secret') }],
    ['another key', { api_key_sha256: hashSecret('secret') }],
  ])('shows neither with %s', async (_name, change) => {
    const page = await readPage({ credentials: [{ ...developmentCredential, ...change }] });
    expect(page).not.toMatch(/default-/);
    expect(page).not.toContain('receiver');
  });
});
