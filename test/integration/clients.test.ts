import { deflateSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { errorBody } from '@livegate/testing/gateway/error-body';
import { startGateway } from '@livegate/testing/gateway/gateway';
import { head, sendRaw } from '@livegate/testing/gateway/raw-http';
import { greySquare } from '@livegate/testing/images/photos';

const { jpeg, png } = await greySquare();

/** A request of a client: its header lines and its body. */
interface Sent {
  headers: string[];
  body: Buffer;
}

type Piece = string | Uint8Array;

function join(...pieces: Piece[]): Buffer {
  return Buffer.concat(pieces.map((piece) => Buffer.from(piece)));
}

/** A multipart body of parts, each with its header lines and content exactly as written. */
function multipart(type: string, boundary: string, ...parts: [string[], Piece][]): Sent {
  const pieces = parts.flatMap(([lines, content]) => [
    `--${boundary}\r\n${lines.join('\r\n')}\r\n\r\n`,
    content,
    '\r\n',
  ]);
  return { headers: [`Content-Type: ${type}`], body: join(...pieces, `--${boundary}--\r\n`) };
}

function form(...parts: [string[], Piece][]): Sent {
  return multipart('multipart/form-data; boundary=b', 'b', ...parts);
}

function json(body: Piece): Sent {
  return { headers: ['Content-Type: application/json'], body: Buffer.from(body) };
}

/** The body in chunks, as sent by clients that do not know its length. */
function chunked({ headers, body }: Sent): Sent {
  const pieces: Piece[] = [];
  for (let at = 0; at < body.length; at += 100) {
    const piece = body.subarray(at, at + 100);
    pieces.push(`${piece.length.toString(16)}\r\n`, piece, '\r\n');
  }
  return {
    headers: [...headers, 'Transfer-Encoding: chunked'],
    body: join(...pieces, '0\r\n\r\n'),
  };
}

function encoded(encoding: string, encode: (body: Buffer) => Buffer, { headers, body }: Sent) {
  return { headers: [...headers, `Content-Encoding: ${encoding}`], body: encode(body) };
}

function send(port: number, { headers, body }: Sent) {
  const isChunked = headers.includes('Transfer-Encoding: chunked');
  const length = isChunked ? [] : [`Content-Length: ${body.length}`];
  return sendRaw(port, [head(...headers, ...length), body]);
}

const base64 = jpeg.toString('base64');

describe('the image of', () => {
  it.each<[string, Sent]>([
    [
      'the Node SDK',
      multipart(
        'multipart/form-data; boundary=----formdata-undici-012345678901',
        '----formdata-undici-012345678901',
        [
          [
            'Content-Disposition: form-data; name="image"; filename="blob"',
            'Content-Type: application/octet-stream',
          ],
          jpeg,
        ],
      ),
    ],
    [
      'the Go SDK, in chunks',
      chunked(
        multipart('multipart/form-data; boundary=4a5b6c7d8e', '4a5b6c7d8e', [
          [
            'Content-Disposition: form-data; name="image"; filename="selfie.jpg"',
            'Content-Type: application/octet-stream',
          ],
          jpeg,
        ]),
      ),
    ],
    [
      'Go, by CreateFormField',
      multipart('multipart/form-data; boundary=4a5b6c7d8e', '4a5b6c7d8e', [
        ['Content-Disposition: form-data; name="image"'],
        jpeg,
      ]),
    ],
    [
      'the Java SDK (OkHttp)',
      multipart(
        'multipart/form-data; boundary=9051914041544843365972754266',
        '9051914041544843365972754266',
        [
          [
            'Content-Disposition: form-data; name="image"; filename="selfie.jpg"',
            'Content-Type: image/jpeg',
            `Content-Length: ${jpeg.length}`,
          ],
          jpeg,
        ],
      ),
    ],
    [
      'OkHttp without a filename',
      multipart('multipart/form-data; boundary=6f1d', '6f1d', [
        [
          'Content-Disposition: form-data; name="image"',
          'Content-Type: image/jpeg',
          `Content-Length: ${jpeg.length}`,
        ],
        jpeg,
      ]),
    ],
    [
      'Apache HttpClient without a filename',
      multipart('multipart/form-data; charset=ISO-8859-1; boundary=aBc_-1', 'aBc_-1', [
        [
          'Content-Disposition: form-data; name="image"',
          'Content-Type: application/octet-stream',
          'Content-Transfer-Encoding: binary',
        ],
        jpeg,
      ]),
    ],
    [
      'Spring RestTemplate, from a byte[], in chunks',
      chunked(
        multipart('multipart/form-data;boundary=Kq0-x_Z', 'Kq0-x_Z', [
          [
            'Content-Disposition: form-data; name="image"',
            'Content-Type: application/octet-stream',
            `Content-Length: ${jpeg.length}`,
          ],
          jpeg,
        ]),
      ),
    ],
    [
      '.NET, ByteArrayContent with a name only',
      multipart(
        'multipart/form-data; boundary="6a1f7c1e-4a7b-4a0e-9d6e-1f0c3d7c8a11"',
        '6a1f7c1e-4a7b-4a0e-9d6e-1f0c3d7c8a11',
        [['Content-Disposition: form-data; name=image'], jpeg],
      ),
    ],
    [
      '.NET, with a file name',
      multipart(
        'multipart/form-data; boundary="6a1f7c1e-4a7b-4a0e-9d6e-1f0c3d7c8a11"',
        '6a1f7c1e-4a7b-4a0e-9d6e-1f0c3d7c8a11',
        [
          [
            "Content-Disposition: form-data; name=image; filename=selfie.jpg; filename*=utf-8''selfie.jpg",
          ],
          jpeg,
        ],
      ),
    ],
    [
      'Dart http, MultipartFile.fromBytes',
      multipart(
        'multipart/form-data; boundary=dart-http-boundary-0aQ.z+_RcbT',
        'dart-http-boundary-0aQ.z+_RcbT',
        [
          [
            'content-type: application/octet-stream',
            'content-disposition: form-data; name="image"',
          ],
          jpeg,
        ],
      ),
    ],
    [
      'Python requests, files={"image": (None, bytes)}',
      multipart('multipart/form-data; boundary=7ad5f3e5', '7ad5f3e5', [
        ['Content-Disposition: form-data; name="image"'],
        jpeg,
      ]),
    ],
    [
      'Python requests with a part type',
      multipart('multipart/form-data; boundary=7ad5f3e5', '7ad5f3e5', [
        ['Content-Disposition: form-data; name="image"', 'Content-Type: image/jpeg'],
        jpeg,
      ]),
    ],
    [
      'aiohttp, in chunks',
      chunked(
        multipart('multipart/form-data; boundary=5c1d', '5c1d', [
          [
            'Content-Type: application/octet-stream',
            'Content-Disposition: form-data; name="image"; filename="image"',
          ],
          jpeg,
        ]),
      ),
    ],
    [
      'curl -F image=@selfie.jpg',
      multipart(
        'multipart/form-data; boundary=------------------------YfVvCwV8MX5SOL',
        '------------------------YfVvCwV8MX5SOL',
        [
          [
            'Content-Disposition: form-data; name="image"; filename="selfie.jpg"',
            'Content-Type: image/jpeg',
          ],
          jpeg,
        ],
      ),
    ],
    ['curl -F image=<selfie.jpg', form([['Content-Disposition: form-data; name="image"'], jpeg])],
    [
      'Postman, with a stray text field without a name',
      multipart(
        'multipart/form-data; boundary=--------------------------115',
        '--------------------------115',
        [
          [
            'Content-Disposition: form-data; name="image"; filename="selfie.jpg"',
            'Content-Type: image/jpeg',
          ],
          jpeg,
        ],
        [['Content-Disposition: form-data; name=""'], ''],
      ),
    ],
    [
      'a client that gives its part a charset',
      form([
        ['Content-Disposition: form-data; name="image"', 'Content-Type: text/plain; charset=UTF-8'],
        jpeg,
      ]),
    ],
    [
      'a client that gives its part an unknown charset',
      form([
        ['Content-Disposition: form-data; name="image"', 'Content-Type: image/jpeg; charset=x'],
        jpeg,
      ]),
    ],
    [
      'a client that leaves the filename empty',
      form([['Content-Disposition: form-data; name="image"; filename=""'], jpeg]),
    ],
    [
      'a form with 990 other fields, and a file of another name',
      form(
        ...Array.from({ length: 990 }, (_, at): [string[], Piece] => [
          [`Content-Disposition: form-data; name="a${at}"`],
          '',
        ]),
        [['Content-Disposition: form-data; name="other"; filename="other.png"'], png],
        [['Content-Disposition: form-data'], 'without a name'],
        [['Content-Disposition: form-data; name="image"'], jpeg],
      ),
    ],
    ['base64 in JSON', json(JSON.stringify({ image: base64, extra: 1 }))],
    ['base64 in JSON, in chunks', chunked(json(JSON.stringify({ image: base64 })))],
    ['JSON behind a byte order mark', json(`\uFEFF${JSON.stringify({ image: base64 })}`)],
    ['base64 behind a byte order mark', json(JSON.stringify({ image: `\uFEFF${base64}` }))],
    ['base64 in white space', json(JSON.stringify({ image: `\r\n ${base64}\n` }))],
    ['base64 in lines', json(JSON.stringify({ image: base64.replaceAll(/(.{76})/g, '$1\r\n') }))],
    ['base64 without padding', json(JSON.stringify({ image: base64.replaceAll('=', '') }))],
    ['base64url', json(JSON.stringify({ image: jpeg.toString('base64url') }))],
    [
      'base64url with padding',
      json(JSON.stringify({ image: base64.replaceAll('+', '-').replaceAll('/', '_') })),
    ],
    ['a data: URL', json(JSON.stringify({ image: `data:image/jpeg;base64,${base64}` }))],
    [
      'a data: URL in capitals, with a parameter, behind white space',
      json(JSON.stringify({ image: `\n DATA:image/jpeg;charset=utf-8;BASE64,${base64}` })),
    ],
    ['gzip, JSON', encoded('gzip', gzipSync, json(JSON.stringify({ image: base64 })))],
    ['deflate, JSON', encoded('deflate', deflateSync, json(JSON.stringify({ image: base64 })))],
    [
      'gzip, multipart',
      encoded('gzip', gzipSync, form([['Content-Disposition: form-data; name="image"'], jpeg])),
    ],
    [
      'deflate, multipart, in chunks',
      chunked(
        encoded(
          'Deflate',
          deflateSync,
          form([['Content-Disposition: form-data; name="image"'], jpeg]),
        ),
      ),
    ],
  ])('%s arrives byte for byte', async (_client, sent) => {
    const { port, imageStore } = await startGateway({ outcome: 'never', waitLimitMs: 1 });
    const { headers, status } = await send(port, sent);
    expect(status).toBe(504);
    const [stored] = await imageStore.get([headers.get('request-id') ?? '']);
    expect(Buffer.compare(stored as Uint8Array, jpeg)).toBe(0);
  });
});

const file = ['Content-Disposition: form-data; name="image"; filename="selfie.jpg"'];
const field = ['Content-Disposition: form-data; name="image"'];
const octets = [...field, 'Content-Type: application/octet-stream'];

describe('an image', () => {
  it.each<[string, [string[], string[]]]>([
    ['file and field', [file, field]],
    ['field and file', [field, file]],
    ['field and field', [field, field]],
    ['octets and file', [octets, file]],
    ['file and file', [file, file]],
  ])('is refused if there is a second one: %s', async (_forms, [first, second]) => {
    const { port, uploads } = await startGateway();
    const answer = await send(port, form([first, jpeg], [second, png]));
    expect(answer).toMatchObject({ status: 400, body: errorBody(400, 'too_many_images') });
    expect(uploads.bytesInFlight).toBe(0);
  });

  it.each([
    ['a file', file],
    ['a field', field],
  ])('is refused if %s is empty', async (_form, lines) => {
    const { port } = await startGateway();
    const answer = await send(port, form([lines, '']));
    expect(answer).toMatchObject({ status: 400, body: errorBody(400, 'empty_image') });
  });

  it.each([
    ['a file', file],
    ['a field', field],
  ])('is refused, naming the limit, if %s has one byte too many', async (_form, lines) => {
    const limits = { maxImageBytes: jpeg.length, maxImagePixels: 1e6 };
    const { port, uploads } = await startGateway({ limits });
    expect(await send(port, form([lines, jpeg]))).toMatchObject({ status: 200 });
    const answer = await send(port, chunked(form([lines, join(jpeg, 'x')])));
    const error_message = `the image has more than ${jpeg.length} bytes`;
    expect(answer).toMatchObject({ status: 413, body: { error_message } });
    expect(uploads.bytesInFlight).toBe(0);
  });

  it('is refused, naming the limit, in a body of more than 1000 parts', async () => {
    const { port, uploads } = await startGateway();
    const empty: [string[], Piece] = [['Content-Disposition: form-data; name="a"'], ''];
    const parts = Array.from({ length: 1000 }, () => empty);
    const answer = await send(port, form(...parts, [file, jpeg]));
    const error_message = 'the request body has more than 1000 parts';
    expect(answer).toMatchObject({
      status: 400,
      body: { ...errorBody(400, 'invalid_multipart'), error_message },
    });
    expect(uploads.bytesInFlight).toBe(0);
  });
});

describe('a body', () => {
  const limits = { maxImageBytes: 100_000, maxImagePixels: 1e6 };
  /** Compresses to a thousandth of its size. */
  const zeros = Buffer.alloc(10e6);
  const forms = {
    multipart: (content: Piece) => form([file, content]),
    'multipart, in another part': (content: Piece) =>
      form([file, jpeg], [['Content-Disposition: form-data; name="other"'], content]),
    JSON: (content: Piece) => json(join('{"image":"', content, '"}')),
  };

  it.each([
    ['multipart', forms.multipart, /^the (image|request body) has more than (100000|165536) bytes/],
    [
      'multipart, in another part',
      forms['multipart, in another part'],
      /more than 165536 bytes, of which the image may have at most 100000$/,
    ],
    ['JSON', forms.JSON, /more than 198872 bytes, of which the image may have at most 100000$/],
  ] as const)(
    'that is too long by its Content-Length, as it arrives or as it is decompressed is refused, naming ' +
      'the limit: %s',
    async (_name, write, message) => {
      const { port, uploads } = await startGateway({ limits });
      const long = write(zeros.subarray(0, 300_000));
      const bomb = encoded('gzip', gzipSync, write(zeros));
      const error_message = expect.stringMatching(message) as string;
      const tooLong = { ...errorBody(413, 'image_too_large'), error_message };
      expect(bomb.body.length).toBeLessThan(100_000);
      for (const sent of [long, chunked(long), bomb, chunked(bomb)]) {
        expect(await send(port, sent)).toMatchObject({ status: 413, body: tooLong });
      }
      expect(uploads.bytesInFlight).toBe(0);
    },
  );

  it.each(Object.entries(forms))(
    'is refused in Brotli and other encodings: %s',
    async (_name, write) => {
      const { port } = await startGateway();
      for (const encoding of ['br', 'zstd', 'compress', 'gzip, gzip', 'utf-8']) {
        const answer = await send(
          port,
          encoded(encoding, (body) => body, write(jpeg)),
        );
        expect(answer).toMatchObject({
          status: 415,
          body: {
            ...errorBody(415, 'unsupported_media_type'),
            error_message: 'send the body uncompressed, or with Content-Encoding: gzip or deflate',
          },
        });
      }
    },
  );

  it.each([
    ['multipart', forms.multipart, 'invalid_multipart'],
    ['JSON', forms.JSON, 'invalid_json'],
  ] as const)('is refused if its gzip is corrupt or truncated: %s', async (_name, write, code) => {
    const { port, uploads } = await startGateway();
    const cut = (body: Buffer) => gzipSync(body).subarray(0, -10);
    for (const encode of [cut, (body: Buffer) => body]) {
      const answer = await send(port, encoded('gzip', encode, write(base64)));
      expect(answer).toMatchObject({ status: 400, body: errorBody(400, code) });
    }
    expect(uploads.bytesInFlight).toBe(0);
  });
});
