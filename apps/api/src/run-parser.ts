import type { LivegateError } from '@livegate/core';
import type { Request, RequestHandler, Response } from 'express';
import { translateUploadError } from './translate-upload-error.js';

export interface ParserRun {
  req: Request;
  res: Response;
  /** For a body that is longer than the parser's limit. */
  tooLarge: LivegateError;
}

/** Runs a parser that was written as a middleware. */
export async function runParser(parse: RequestHandler, run: ParserRun): Promise<void> {
  const { req, res, tooLarge } = run;
  try {
    await new Promise<void>((resolve, reject) => {
      parse(req, res, (error?: unknown) => (error ? reject(error) : resolve()));
    });
  } catch (error) {
    throw translateUploadError(error, tooLarge);
  }
}
