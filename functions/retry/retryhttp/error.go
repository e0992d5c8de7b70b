package retryhttp

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// Reasons why no answer was reached, besides those of package retry.
const (
	// Cancelled means that the request's context was cancelled. If it is its deadline that has passed, the reason is
	// [retry.DeadlineExceeded].
	Cancelled retry.Reason = "Cancelled"

	// BodyConsumed means that the body of the request was read, and that it cannot be read again: it has no GetBody, or
	// that failed.
	BodyConsumed retry.Reason = "BodyConsumed"
)

// An Error is the error of a request to which no answer came. [http.Client] has it in a [net/url.Error]:
//
//	var failed *retryhttp.Error
//	if errors.As(err, &failed) && !failed.MaybeProcessed() { … }
//
// Of [context.Canceled] and [context.DeadlineExceeded], [errors.Is] is true if the reason says so, or the last attempt's
// error.
type Error struct {
	// Reason says why there was no further attempt.
	Reason retry.Reason

	// Err is the error of the last attempt, or the one that ended the wait after it.
	Err error

	// Attempts are the attempts that were made.
	Attempts []retry.Attempt

	// RetryAfter is how long to wait before the request is sent again. Zero if nothing is known, or if it would meet the
	// same.
	RetryAfter time.Duration
}

// Error returns the text of the last attempt's error, and why there was no other attempt.
func (e *Error) Error() string {
	attempts := "attempts"
	if len(e.Attempts) == 1 {
		attempts = "attempt"
	}
	return fmt.Sprintf("%v (%s after %d %s)", e.Err, e.Reason, len(e.Attempts), attempts)
}

// Unwrap returns the error of the last attempt.
func (e *Error) Unwrap() error { return e.Err }

// Is says whether the reason is that of an error of package context.
func (e *Error) Is(target error) bool {
	return e.Reason == Cancelled && target == context.Canceled ||
		e.Reason == retry.DeadlineExceeded && target == context.DeadlineExceeded
}

// Timeout says whether time ran out: for the request, or for its last attempt.
func (e *Error) Timeout() bool {
	var inner interface{ Timeout() bool }
	return e.Reason == retry.DeadlineExceeded || errors.As(e.Err, &inner) && inner.Timeout()
}

// MaybeProcessed says whether the upstream may have acted on the request, in any of the attempts.
func (e *Error) MaybeProcessed() bool {
	for _, attempt := range e.Attempts {
		if attempt.MaybeProcessed {
			return true
		}
	}
	return false
}

// A timeout is the error of an attempt that took too long.
type timeout time.Duration

func (t timeout) Error() string {
	return fmt.Sprintf("the attempt was ended after %v", time.Duration(t))
}
func (timeout) Timeout() bool     { return true }
func (timeout) Is(err error) bool { return err == context.DeadlineExceeded }
