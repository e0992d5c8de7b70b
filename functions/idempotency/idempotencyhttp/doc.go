// Package idempotencyhttp gives HTTP handlers the Idempotency-Key header field: a request that comes again with the
// same key gets the recorded response of the first one.
//
// [FunctionURL], [APIGatewayV1], [APIGatewayV2] and [ALB] wrap Lambda handlers of those events in a [Front], and
// [Middleware] those of net/http. The pieces are there for programs that answer in another way: [ParseKey], [RecordID] and
// [CanonicalFingerprint] to claim a key, [ProblemFor] to refuse, [Cache], [Replayed], [NotModified] and
// [PreconditionFailed] to answer.
//
// The header field is that of the IETF draft "The Idempotency-Key HTTP Header Field": a key in use by another request
// is answered with 409, a key used before with another payload with 422, a missing or malformed one with 400, each as a
// problem document (RFC 9457).
//
// A record belongs to one caller, method, path and key. Who the caller is, the event says: an IAM identity, the subject
// of a JWT, an API key, the principal of an authorizer; and beside that the credentials that the request carries, see
// [Credential]. Callers with neither share their keys: set [Options.Caller] then.
package idempotencyhttp
