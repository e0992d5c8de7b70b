package idempotencyhttp

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
)

// ProblemTypeBase begins the type of every problem; the rest is the problem's name, which is also a heading of the
// page.
const ProblemTypeBase = "https://github.com/retrying-api-proxy/retrying-api-proxy#"

// The names of the problems.
const (
	KeyMissing        = "idempotency-key-missing"        // 400
	KeyMalformed      = "idempotency-key-malformed"      // 400
	KeyInUse          = "idempotency-key-in-use"         // 409
	KeyReused         = "idempotency-key-reused"         // 422
	ResultUnavailable = "idempotency-result-unavailable" // 409
	RecordUnreadable  = "idempotency-record-unreadable"  // 409
	StoreUnavailable  = "idempotency-store-unavailable"  // 503
	ConditionFailed   = "idempotency-condition-failed"   // 412
	RequestTooLarge   = "idempotency-request-too-large"  // 413, of Middleware
	RequestUnreadable = "idempotency-request-unreadable" // 400, of Middleware
)

const (
	// MaxConflictRetryAfter is the longest Retry-After of a 409. The lease of the running request is an upper bound;
	// most end long before.
	MaxConflictRetryAfter = 5 * time.Second

	// StoreRetryAfter is the Retry-After of a 503.
	StoreRetryAfter = time.Second
)

// A Problem is a problem document (RFC 9457).
type Problem struct {
	// Type is a URI that does not change.
	Type   string
	Title  string
	Status int
	Detail string

	// RetryAfter becomes a Retry-After field, rounded up to seconds. Zero: none.
	RetryAfter time.Duration

	// Extensions are further members.
	Extensions map[string]any
}

// Name is which problem of this package it is, such as [KeyMissing]: the end of its type. Empty for a problem of another
// type.
func (p Problem) Name() string {
	name, known := strings.CutPrefix(p.Type, ProblemTypeBase)
	if !known {
		return ""
	}
	return name
}

// Response is the problem as a response. Caches must not keep it.
func (p Problem) Response() Response {
	type member struct {
		name  string
		value any
	}
	members := []member{{"type", p.Type}, {"title", p.Title}, {"status", p.Status}, {"detail", p.Detail}}
	for _, name := range slices.Sorted(maps.Keys(p.Extensions)) {
		members = append(members, member{name, p.Extensions[name]})
	}
	body := []byte{'{'}
	for i, m := range members {
		value, err := json.Marshal(m.value)
		if err != nil {
			value, _ = json.Marshal(fmt.Sprint(m.value))
		}
		if i > 0 {
			body = append(body, ',')
		}
		body = append(strconv.AppendQuote(body, m.name), ':')
		body = append(body, value...)
	}
	r := Response{
		StatusCode: p.Status,
		Headers:    map[string]string{"content-type": "application/problem+json", "cache-control": "no-store"},
		Body:       string(append(body, '}')),
	}
	if p.RetryAfter > 0 {
		r.Headers["retry-after"] = retryAfter(p.RetryAfter)
	}
	return r
}

// retryAfter is a delay in whole seconds, rounded up (RFC 9110, section 10.2.3).
func retryAfter(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}

func problem(name string, status int, title, detail string) Problem {
	return Problem{Type: ProblemTypeBase + name, Title: title, Status: status, Detail: detail}
}

// MissingKey is the problem of a request without the key that it needs.
func MissingKey() Problem {
	return problem(KeyMissing, http.StatusBadRequest, "Idempotency-Key is missing",
		"This request needs an Idempotency-Key header field: a value of your choice that is new for each operation, and the same when you "+
			"repeat a request because you do not know its outcome.")
}

// ProblemFor is the problem that answers a request to which an error of [ParseKey] or [idempotency.Manager.Acquire]
// came up, or one of [idempotency.Record.Result]. It says false for any other error. now is for Retry-After.
func ProblemFor(err error, now time.Time) (Problem, bool) {
	busy := (*idempotency.InProgressError)(nil)
	switch {
	case errors.Is(err, ErrMalformedKey):
		return problem(KeyMalformed, http.StatusBadRequest, "Idempotency-Key is malformed",
			"The key cannot be read: "+strings.TrimPrefix(err.Error(), ErrMalformedKey.Error()+": ")+"."), true
	case errors.As(err, &busy):
		p := problem(KeyInUse, http.StatusConflict, "A request with this Idempotency-Key is in progress",
			"The first request with this key has no result yet. Repeat this one later: it will get that result.")
		p.RetryAfter = MaxConflictRetryAfter
		if lease := busy.Record.LeaseEnd; !lease.IsZero() {
			p.RetryAfter = max(min(lease.Sub(now), MaxConflictRetryAfter), time.Second)
		}
		return p, true
	case errors.Is(err, idempotency.ErrPayloadMismatch):
		return problem(KeyReused, http.StatusUnprocessableEntity, "Idempotency-Key was used for another request",
			"An earlier request with this key had another query or body. Use a new key for each operation."), true
	case errors.Is(err, idempotency.ErrInconsistentState), errors.Is(err, idempotency.ErrStoreFailed):
		p := problem(StoreUnavailable, http.StatusServiceUnavailable, "Idempotency records are not available",
			"Nothing was done. Repeat the request with the same key.")
		p.RetryAfter = StoreRetryAfter
		return p, true
	case errors.Is(err, idempotency.ErrRecordUnreadable):
		return problem(RecordUnreadable, http.StatusConflict, "The record of an earlier request cannot be read",
			"An earlier request with this key may have been carried out: there is a record of it that cannot be read. This request was not "+
				"carried out, and will not be until the record is gone."), true
	case errors.Is(err, idempotency.ErrResultNotStored), errors.As(err, new(*idempotency.UnreadableResultError)),
		errors.As(err, new(*idempotency.StoredFailureError)):
		return problem(ResultUnavailable, http.StatusConflict, "The response to this request was not kept",
			"An earlier request with this key was carried out, and its response could not be kept. It was not carried out again."), true
	default:
		return Problem{}, false
	}
}
