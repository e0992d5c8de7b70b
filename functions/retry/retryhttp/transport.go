package retryhttp

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// A Transport is an [http.RoundTripper] that repeats requests by a policy. The zero Transport is ready for use: it repeats
// by the default policy what [http.DefaultTransport] sends.
//
// A Transport is safe for concurrent use, if its fields do not change after the first request. It must not be copied then.
type Transport struct {
	// Base makes the attempts. Nil means [http.DefaultTransport].
	Base http.RoundTripper

	// Policy says what is repeated, and when. A policy that is not valid fails every request.
	Policy retry.Policy

	// OnAttempt, if it is not nil, is told of each attempt, after the decision and before what follows from it. It must
	// neither change the request nor read its body. It is called by the goroutine of the request, which goes on when it
	// returns.
	OnAttempt func(*http.Request, Attempt)

	// BufferBody is up to how many bytes of a request's body without GetBody are read into memory, before the first
	// attempt, so that the body can be sent again. A larger one is sent once. Zero means that none is.
	BufferBody int64

	// Random gives numbers in [0, 1), for jitter. It has to be safe for concurrent use. Nil means [rand.Float64].
	Random func() float64

	prepare sync.Once
	policy  retry.Policy
	invalid error
}

// NewClient returns a client whose requests are repeated by a policy. The zero policy is the default one.
func NewClient(policy retry.Policy) *http.Client {
	return &http.Client{Transport: &Transport{Policy: policy}}
}

// CloseIdleConnections closes the idle connections of the base, if it has any. [http.Client.CloseIdleConnections] calls it.
func (t *Transport) CloseIdleConnections() {
	if base, ok := t.base().(interface{ CloseIdleConnections() }); ok {
		base.CloseIdleConnections()
	}
}

func (t *Transport) base() http.RoundTripper {
	if t.Base == nil {
		return http.DefaultTransport
	}
	return t.Base
}

func (t *Transport) random() float64 {
	if t.Random == nil {
		return rand.Float64()
	}
	return t.Random()
}

// RoundTrip sends a request, and repeats it as the policy says.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	t.prepare.Do(func() { t.policy, t.invalid = t.Policy.WithDefaults(), t.Policy.Validate() })
	if t.invalid != nil {
		closeBody(req)
		return nil, fmt.Errorf("retryhttp: Transport.Policy is not valid: %w", t.invalid)
	}
	ctx := req.Context()
	if ctx.Err() != nil {
		closeBody(req)
		return nil, &Error{Reason: reasonOf(ctx), Err: context.Cause(ctx)}
	}
	o := t.newOperation(req, time.Now())
	body, err := newRequestBody(req, t.BufferBody)
	if err != nil {
		return nil, &Error{Reason: BodyConsumed, Err: err}
	}
	o.body = body
	defer body.finish()

	for {
		x, decision, err := o.attempt()
		switch {
		case err != nil:
			return nil, o.failed(BodyConsumed, err)
		case decision.Outcome == retry.Again:
			x.discard()
			if err := wait(ctx, x.result.Received.Add(decision.Delay)); err != nil {
				return nil, o.failed(reasonOf(ctx), err)
			}
		case x.response != nil:
			return x.handOn(req), nil
		default:
			e := o.failed(decision.Reason, x.err)
			e.RetryAfter = decision.RetryAfter
			return nil, e
		}
	}
}

// wait waits for a moment, or until the context is done, and returns why it is done then.
func wait(ctx context.Context, moment time.Time) error {
	timer := time.NewTimer(time.Until(moment))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
