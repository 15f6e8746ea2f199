import type { Writable } from 'node:stream';
import { LivegateError } from '@livegate/core';
import type { Request } from 'express';
import multer, { type FileFilterCallback, type StorageEngine } from 'multer';
import { createByteCollector } from './collect-bytes.js';
import { runParser } from './run-parser.js';
import type { ReadUpload } from './upload.js';

declare module 'multer' {
  interface Options {
    /** Documented since multer 2.5; its published types do not know it yet. */
    streamHandler?(req: Request, parser: Writable): void;
  }
}

const MAX_PARTS = 50;

/** Reads the file part `image` and the text field `webhook_url`. */
export function createReadMultipart(maxImageBytes: number): ReadUpload {
  const parse = multer({
    limits: { fileSize: maxImageBytes, parts: MAX_PARTS },
    storage,
    fileFilter: keepOneImage,
    streamHandler(req, parser) {
      // Of the text fields one is ours; multer would refuse one without a name (Postman sends it).
      parser.removeAllListeners('field');
      parser.on('field', (name: string, value: string) => {
        if (name === 'webhook_url') req.body = value;
      });
      req.body = '';
      req.pipe(parser);
    },
  }).any();

  return async (req, res) => {
    await runParser(parse, { req, res, otherwise: 'invalid_multipart' });
    const webhookUrl = String(req.body);
    const image = takeImage(req);
    forget(req);
    return { image, ...(webhookUrl && { webhookUrl }) };
  };
}

/** multer's own storage would hold the image twice at its end: in pieces, and joined. */
const storage: StorageEngine = {
  _handleFile(req, file, done) {
    const collector = createByteCollector(Number(req.headers['content-length'] ?? 0));
    file.stream.on('data', collector.add);
    file.stream.on('end', () => done(null, { buffer: collector.take() }));
  },
  _removeFile(_req, file, done) {
    Reflect.deleteProperty(file, 'buffer');
    done(null);
  },
};

/** Refused at its start, a second image takes no memory. */
function keepOneImage(
  { files }: Request,
  { fieldname }: Express.Multer.File,
  keep: FileFilterCallback,
): void {
  if (fieldname !== 'image') keep(null, false);
  // This one is among them already.
  else if (Number(files?.length) > 1) keep(new LivegateError('too_many_images'));
  else keep(null, true);
}

function takeImage({ files }: Request): Uint8Array {
  // multer lets a body pass whose type it cannot read, such as one with an empty boundary.
  if (!Array.isArray(files)) throw new LivegateError('invalid_multipart');
  const [file] = files;
  if (!file) throw new LivegateError('missing_image');
  return file.buffer;
}

/** Lets go of the file, which also the listeners know that multer leaves behind. */
function forget(req: Request): void {
  req.body = undefined;
  req.files = [];
  for (const event of ['aborted', 'close', 'error']) req.removeAllListeners(event);
}
