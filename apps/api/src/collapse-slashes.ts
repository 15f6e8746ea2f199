import type { RequestHandler } from 'express';

/** SDKs join base URL and path with "/": a base URL that ends in one gives "//face/v1/…". */
export const collapseSlashes: RequestHandler = (req, _res, next) => {
  req.url = req.url.replace(/^\/{2,}/, '/');
  next();
};
