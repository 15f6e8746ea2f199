import type { Request, RequestHandler, Response } from 'express';
import { translateUploadError } from './translate-upload-error.js';

export interface ParserRun {
  req: Request;
  res: Response;
  /** What an error is that the parser does not explain. */
  otherwise: 'invalid_json' | 'invalid_multipart';
}

/** Runs a parser that was written as a middleware. */
export async function runParser(parse: RequestHandler, run: ParserRun): Promise<void> {
  const { req, res, otherwise } = run;
  try {
    await new Promise<void>((resolve, reject) => {
      parse(req, res, (error?: unknown) => (error ? reject(error) : resolve()));
    });
  } catch (error) {
    throw translateUploadError(error, otherwise);
  }
}
