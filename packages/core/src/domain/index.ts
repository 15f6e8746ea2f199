export {
  canMove,
  type CheckJob,
  type CheckOutcome,
  type CheckRecord,
  type CheckResult,
  type CheckStatus,
  enforceQuality,
  enforceQualityOf,
  isFinished,
  JOB_VERSION,
  type JobState,
  READABLE_JOB_VERSIONS,
  roundMs,
  SCHEMA_VERSION,
  statusOf,
} from './check.js';
export {
  asRefusal,
  type ErrorCode,
  type ErrorDetails,
  errorMessages,
  isStoreFailure,
  LivegateError,
  readRefusal,
  type Refusal,
  writeRefusal,
} from './errors.js';
export { type JpegHeader, type JpegSegment, walkJpeg } from './image/image-header-jpeg.js';
export {
  type ImageHeader,
  imageKind,
  inspectHeader,
  type PngHeader,
} from './image/image-header.js';
export {
  type ImageLimits,
  imageTooLarge,
  requireImageBytes,
  tooCostly,
} from './image/image-rules.js';
export { createLeases, type Lease, leaseKinds, type Leases } from './leases.js';
export {
  type CalibrationFacts,
  describeModels,
  type ModelFacts,
  type ModelSetFacts,
  type WorkerFacts,
} from './models.js';
export {
  type FacePlace,
  judgeQuality,
  type Quality,
  type QualityCode,
  qualityCodes,
  qualityHints,
  qualityLimits,
  type QualityMeasures,
  qualityPolicies,
  type QualityPolicy,
  strongestPolicy,
} from './quality.js';
export {
  addSignals,
  beginPhoto,
  createSession,
  createSid,
  isLost,
  isSid,
  MAX_PHOTOS,
  requireOpen,
  type Session,
  type SessionHint,
  type SessionStatus,
  type SessionWishes,
  settlePhoto,
  triesLeft,
  undoPhoto,
} from './sessions/session.js';
export { isOwnToken, issueToken } from './sessions/page-tokens.js';
export {
  type CaptureFacts,
  findSignals,
  type SessionSignal,
  sessionSignals,
} from './sessions/session-signals.js';
export {
  type Assessment,
  type CutPoints,
  decideVerdict,
  type FaceCountFailure,
  type Rotation,
  type ScoredFace,
  type SpoofStatus,
  type Verdict,
  type ViewScore,
} from './verdict.js';
export {
  createDelivery,
  type Delivery,
  type DeliveryAttempt,
  type DeliveryFailure,
  deliveryIdOf,
  type DeliveryStatus,
  type DeliveryTarget,
  failDelivery,
  type NewDelivery,
  receiverOf,
  recordAttempt,
  replayDelivery,
} from './webhook-delivery.js';
export {
  activeSecrets,
  createWebhookSecret,
  type CheckEventType,
  checkEventTypes,
  disableEndpoint,
  enableEndpoint,
  eventOf,
  rotateSecrets,
  SESSION_FINISHED,
  type WebhookEndpoint,
  type WebhookEventType,
  webhookEventTypes,
  type WebhookMessageType,
  type WebhookSecret,
} from './webhooks.js';
