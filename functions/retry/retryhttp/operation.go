package retryhttp

import (
	"context"
	"net/http"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// An operation is one request with its attempts.
type operation struct {
	*Transport
	req  *http.Request
	body *requestBody

	policy  retry.Policy  // that of the request's route
	request retry.Request // what the policy has to know of it
	history []retry.Attempt
}

// newOperation returns the operation of a request that begins now.
func (t *Transport) newOperation(req *http.Request, now time.Time) *operation {
	o := &operation{Transport: t, req: req}
	o.request = retry.Request{Method: methodOf(req), IdempotencyKey: hasKey(req), Proxies: 1}
	if req.URL != nil {
		o.request.Path = req.URL.EscapedPath()
	}
	o.policy = t.policy.For(o.request.Method, o.request.Path)
	var ok bool
	if o.request.Deadline, ok = req.Context().Deadline(); !ok {
		o.request.Deadline = now.Add(o.policy.Deadline)
	}
	return o
}

func methodOf(req *http.Request) string {
	if req.Method == "" {
		return http.MethodGet
	}
	return req.Method
}

// hasKey says whether a request may be repeated by its header, as [http.Transport] has it.
func hasKey(req *http.Request) bool {
	_, key := req.Header["Idempotency-Key"]
	_, x := req.Header["X-Idempotency-Key"]
	return key || x
}

// attempt makes an attempt, and says what comes next. The error is that there is no body for it.
func (o *operation) attempt() (*exchange, retry.Decision, error) {
	body, err := o.body.next()
	if err != nil {
		return nil, retry.Decision{}, err
	}
	start := time.Now()
	x := o.exchange(body, start)
	decision := o.decide(x)
	attempt := x.result.Attempt("", start, decision)
	o.history = append(o.history, attempt)
	if o.OnAttempt != nil {
		o.OnAttempt(o.req, Attempt{
			Attempt: attempt, Number: len(o.history), Decision: decision, Connections: x.connections, Err: x.err,
		})
	}
	return x, decision, nil
}

// timeouts says how long the attempt that begins now may take. An attempt that can be followed by another only as long as
// its body is not read is like one that can be only as long as it is not sent.
func (o *operation) timeouts(now time.Time) (connect, whole time.Duration) {
	policy, request := o.policy, o.request
	if !o.body.rewinds() {
		policy.RepeatableMethods, request.IdempotencyKey = []string{}, false
	}
	return policy.Timeouts(request, o.history, now)
}

// decide has the policy decide, and ends what the caller does not want any more, and what cannot be sent again.
func (o *operation) decide(x *exchange) retry.Decision {
	decision := o.policy.Next(o.request, o.history, x.result, o.random)
	end := func(reason retry.Reason, why string) retry.Decision {
		return retry.Decision{
			Outcome:        retry.Failed,
			Reason:         reason,
			Kind:           decision.Kind,
			MaybeProcessed: decision.MaybeProcessed,
			NotBefore:      decision.NotBefore,
			RetryAfter:     max(decision.RetryAfter, decision.Delay),
			Why:            why,
		}
	}
	ctx := o.req.Context()
	switch {
	case x.err != nil && ctx.Err() != nil && reasonOf(ctx) == Cancelled:
		return end(Cancelled, "the request's context was cancelled")
	case decision.Outcome == retry.Again && !o.body.available():
		return end(BodyConsumed, "the body of the request was read, and cannot be read again without GetBody")
	}
	return decision
}

// failed returns the error of the operation.
func (o *operation) failed(reason retry.Reason, err error) *Error {
	return &Error{Reason: reason, Err: err, Attempts: o.history}
}

// reasonOf says why a context is done.
func reasonOf(ctx context.Context) retry.Reason {
	if ctx.Err() == context.DeadlineExceeded {
		return retry.DeadlineExceeded
	}
	return Cancelled
}
