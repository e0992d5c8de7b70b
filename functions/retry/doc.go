// Package retry decides what happens next with an HTTP request that was sent upstream: whether the answer is final,
// whether another attempt may be made, and how long to wait before it.
//
// A [Policy] holds the rules. [Policy.Next] applies them to a request, to the result of an attempt, and to the attempts
// before it. The package does no I/O, reads no clock and draws no random numbers: the time is in the [Result], and
// randomness is passed in. So every decision can be tested, and repeated.
//
// What it does that a loop with an exponential delay does not:
//
//   - It reads when the upstream wants to be asked again ([ReadSignals]), and never asks earlier. Jitter goes above
//     that moment, since everybody else was told the same.
//   - It counts rate limits, server errors and network failures apart, each with its own attempts and its own backoff.
//   - It repeats a request that is not idempotent only if nothing was done (RFC 9110 section 9.2.2).
//   - It starts no attempt that cannot end before the deadline, and says so at once instead of after the wait.
//   - It finds out whether a limit is by address, where requests can leave from several.
//
// [Policy.Explain] prints when attempts start and how long a caller waits at most. [Trace] and [ClassifyFailure] turn
// the errors of net/http into the error types of RFC 9209, and tell whether the upstream may have acted on the request.
package retry
