package handler

import (
	"net/http"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/idempotencyhttp"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// A problem is an answer of the gateway's own, RFC 9457. Everything that is not the upstream's answer is one.
type problem struct {
	idempotencyhttp.Problem

	// attempts are told in the document, as its member attempts, and in Proxy-Status.
	attempts []retry.Attempt
}

func newProblem(name string, status int, title, detail string) *problem {
	return &problem{Problem: idempotencyhttp.Problem{Type: idempotencyhttp.ProblemTypeBase + name, Title: title, Status: status, Detail: detail}}
}

func invalidRequest(detail string) *problem {
	return newProblem("invalid-request", http.StatusBadRequest, "The request cannot be forwarded", detail)
}

func requestTooLarge(detail string) *problem {
	return newProblem("request-too-large", http.StatusRequestEntityTooLarge, "The request is too large", detail)
}

func loopDetected(detail string) *problem {
	return newProblem("loop-detected", http.StatusLoopDetected, "The request came round to where it was before", detail)
}

func noAnswer(detail string, attempts []retry.Attempt) *problem {
	p := newProblem("no-answer", http.StatusBadGateway, "No attempt reached a final answer", detail)
	p.attempts = attempts
	return p
}

func deadlineExceeded(detail string, attempts []retry.Attempt) *problem {
	p := newProblem("deadline-exceeded", http.StatusGatewayTimeout, "The deadline came before an answer", detail)
	p.attempts = attempts
	return p
}

func engineFailed(detail string) *problem {
	return newProblem("engine-failed", http.StatusBadGateway, "The state machine failed", detail)
}

// engineRetryAfter is what a caller is asked to wait when Step Functions could not be reached, or Lambda had no room.
const engineRetryAfter = 5 * time.Second

func engineUnavailable(detail string) *problem {
	p := newProblem("engine-unavailable", http.StatusServiceUnavailable, "The state machine could not be started", detail)
	p.RetryAfter = engineRetryAfter
	return p
}

// proxiesUnavailable is for a request whose proxies Lambda did not run, for want of room as a rule.
func proxiesUnavailable(detail string, attempts []retry.Attempt) *problem {
	p := newProblem("proxies-unavailable", http.StatusServiceUnavailable, "No proxy could be run", detail)
	p.RetryAfter = engineRetryAfter
	p.attempts = attempts
	return p
}

// response writes a problem as HTTP. Its instance is the request with this id.
func (p *problem) response(requestID string) events.LambdaFunctionURLResponse {
	document := p.Problem
	document.Extensions = map[string]any{"instance": "urn:uuid:" + requestID}
	if len(p.attempts) > 0 {
		document.Extensions["attempts"] = p.attempts
	}
	response := document.Response()
	if len(p.attempts) > 0 {
		response.Headers["proxy-status"] = proxyStatus(p.attempts)
	}
	return urlResponse(response)
}
