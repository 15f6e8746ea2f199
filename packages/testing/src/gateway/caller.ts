export const path = '/face/v1/passive-liveness';

export const defaultAuth = {
  Authorization: `Basic ${Buffer.from('default-username:default-password').toString('base64')}`,
  'x-api-key': 'default-api-key',
};

/** A multipart body with one file part per image. */
export function formOf(...images: Uint8Array[]): FormData {
  const form = new FormData();
  for (const image of images) form.append('image', new Blob([Uint8Array.from(image)]), 'blob');
  return form;
}

export type Body = NonNullable<RequestInit['body']> | null;

/** Posts like an SDK. Fails if the answer is not JSON. */
export async function post(url: string, body: Body, headers: Record<string, string> = {}) {
  const response = await fetch(url + path, {
    method: 'POST',
    headers: { ...defaultAuth, ...headers },
    body,
  });
  return { response, status: response.status, body: await response.json() };
}
