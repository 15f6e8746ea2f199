// Loaded into a process before its own code: its host's clock is wrong by TEST_SKEW_MS.
const skewMs = Number(process.env['TEST_SKEW_MS']);
const RealDate = Date;
globalThis.Date = class extends RealDate {
  constructor(...args) {
    if (args.length === 0) super(RealDate.now() + skewMs);
    else super(...args);
  }
  static now() {
    return RealDate.now() + skewMs;
  }
};
