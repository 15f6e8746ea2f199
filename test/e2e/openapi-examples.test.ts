import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Parameter } from '../../apps/api/src/openapi/document-types.js';
import { face, groupPhoto, noFace, selfie } from '@livegate/testing/images/photos';
import {
  type DocumentedOperation,
  listOperations,
} from '@livegate/testing/product/document-checker';
import {
  asJson,
  checker,
  createDocumentClient,
  document,
  type DocumentClient,
  expectAsDocumented,
  form,
  jsonDocument,
  operations,
  type Sent,
} from '@livegate/testing/product/document-client';
import {
  type DocumentedProduct,
  startDocumentedProduct,
} from '@livegate/testing/product/documented-product';

/** The files that the document's multipart examples name. */
const files: Record<string, () => Promise<Buffer>> = {
  '@selfie.jpg': selfie,
  '@screen.jpg': () => face('photo 2 left'),
  '@landscape.jpg': noFace,
  '@group.jpg': groupPhoto,
};

let product: DocumentedProduct;
let client: DocumentClient;

beforeAll(async () => {
  product = await startDocumentedProduct();
  client = createDocumentClient(product);
  // A check with a webhook_url is refused before the tenant has a secret to sign with.
  await client.call('rotateWebhookSecret');
}, 60_000);
afterEach(() => client.tidy());
afterAll(() => product.stop());

interface ExampleRequest {
  name: string;
  sent: Sent;
}

/** One request for every example body, and one for every example header or asset with the first body. */
async function listRequests({ operation }: DocumentedOperation): Promise<ExampleRequest[]> {
  const requests = await listBodies(operation);
  const first = requests[0]?.sent ?? {};
  const parameters = (operation.parameters ?? []) as Parameter[];
  return [...requests, ...parameters.flatMap((parameter) => listVariants(first, parameter))];
}

function listBodies({ requestBody }: DocumentedOperation['operation']): Promise<ExampleRequest[]> {
  const bodies = Object.entries(requestBody?.content ?? {}).flatMap(([type, { examples = {} }]) =>
    Object.entries(examples).map(([name, { value }]) => toRequest(name, type, value)),
  );
  return Promise.all(bodies);
}

async function toRequest(name: string, type: string, value: unknown): Promise<ExampleRequest> {
  if (type === 'application/json') return { name, sent: asJson(value) };
  const { image = '', ...fields } = value as Record<string, string>;
  const body = form(await files[image]!());
  for (const [field, text] of Object.entries(fields)) body.set(field, text);
  return { name, sent: { body } };
}

function listVariants(sent: Sent, { name, schema, examples = {} }: Parameter): ExampleRequest[] {
  const values = (schema['examples'] ?? []) as string[];
  const withHeader = values.map((value) => ({ headers: { ...sent.headers, [name]: value } }));
  const assets = name === 'asset' ? Object.keys(examples) : [];
  const variants: Sent[] = [...withHeader, ...assets.map((asset) => ({ params: { asset } }))];
  return variants.map((variant) => ({ name, sent: { ...sent, ...variant } }));
}

/** The class of the verdict that the document shows under the name of the request. */
function describeShown({ operation }: DocumentedOperation, name: string): object {
  const media = checker.findResponse(operation, 200)?.content['application/json'];
  const shown = media?.examples?.[name]?.value as { result?: { status: string } } | undefined;
  return shown?.result ? { result: { status: shown.result.status } } : {};
}

describe('the OpenAPI document', () => {
  it.each([
    ['/openapi.json', document],
    ['/openapi.json?body=multipart', document],
    ['/openapi.json?body=json', jsonDocument],
  ])('is served without credentials: %s', async (path, expected) => {
    const response = await fetch(`${product.api.url}${path}`);
    expect(await response.json()).toEqual(JSON.parse(JSON.stringify(expected)));
  });

  it.each(operations)(
    'has only examples that succeed: $operation.operationId',
    async (documented) => {
      await expectSuccess(documented, await listRequests(documented));
    },
  );

  it('has only examples that succeed for a check with the image in JSON', async () => {
    const inJson = listOperations(jsonDocument).find(
      ({ operation }) => operation.operationId === 'checkPassiveLiveness',
    );
    await expectSuccess(inJson!, await listBodies(inJson!.operation));
  });

  async function expectSuccess(
    documented: DocumentedOperation,
    requests: ExampleRequest[],
  ): Promise<void> {
    const isCancellation = documented.operation.operationId === 'cancelJob';
    expect(requests).not.toHaveLength(0);
    for (const { name, sent } of requests) {
      if (isCancellation) product.freezeWorker();
      const params = { ...(await client.createParams(documented)), ...sent.params };
      if (sent.body instanceof FormData && sent.body.has('token')) {
        sent.body.set('token', await client.readToken(params['sid'] ?? ''));
      }
      const answer = await client.send(documented, { ...sent, params });
      product.thawWorker();
      expect([200, 201, 202]).toContain(answer.status);
      expectAsDocumented(documented, answer);
      expect(answer.body).toMatchObject(describeShown(documented, name));
    }
  }
});
