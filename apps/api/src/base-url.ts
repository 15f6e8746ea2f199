import type { Request } from 'express';

/** Where this caller reaches the service: as configured, else as it did just now. */
export function baseUrlOf(req: Request, publicUrl: string | undefined): string {
  return publicUrl?.replace(/\/+$/, '') ?? `${req.protocol}://${req.host}`;
}
