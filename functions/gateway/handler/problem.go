package handler

import (
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/idempotencyhttp"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// A problem is an answer of the gateway's own, RFC 9457. Everything that is not the upstream's answer is one.
type problem struct {
	idempotencyhttp.Problem

	// attempts are told in the document, as its member attempts, and in Proxy-Status.
	attempts []retry.Attempt

	// processed is the member of this name: whether the upstream may have acted on the request. Empty leaves it out.
	processed processed

	// proxyStatus is the field of this name, where there are no attempts to tell of. Empty leaves it out.
	proxyStatus string

	// allow is the field of this name, with the methods that are forwarded. Empty leaves it out.
	allow string

	// late says that the time of the request was up.
	late bool

	// own says that what ended the request was a fault of ours, whatever the name of the problem tells of the upstream.
	own bool
}

// processed says whether the upstream may have acted on a request.
type processed string

const (
	processedNo      processed = "no"
	processedUnknown processed = "unknown"
)

func newProblem(name string, status int, title, detail string) *problem {
	return &problem{Problem: idempotencyhttp.Problem{Type: idempotencyhttp.ProblemTypeBase + name, Title: title, Status: status, Detail: detail}}
}

func invalidRequest(detail string) *problem {
	return newProblem("invalid-request", http.StatusBadRequest, "The request cannot be forwarded", detail)
}

// refused is for a request that may not go upstream.
func refused(r *message.Refusal, forwarding message.Forwarding) *problem {
	switch r.Status {
	case http.StatusForbidden:
		return newProblem("path-not-allowed", r.Status, "The path is not allowed", r.Detail)
	case http.StatusMethodNotAllowed:
		p := newProblem("method-not-allowed", r.Status, "The method is not allowed", r.Detail)
		p.allow = forwarding.Allow()
		return p
	}
	return invalidRequest(r.Detail)
}

// malformedKey is for a key that cannot be used, for this reason.
func malformedKey(reason string) *problem {
	refused, _ := idempotencyhttp.ProblemFor(fmt.Errorf("%w: %s", idempotencyhttp.ErrMalformedKey, reason), time.Time{})
	return &problem{Problem: refused}
}

func requestTooLarge(detail string) *problem {
	return newProblem("request-too-large", http.StatusRequestEntityTooLarge, "The request is too large", detail)
}

func loopDetected(detail string) *problem {
	return newProblem("loop-detected", http.StatusLoopDetected, "The request came round to where it was before", detail)
}

// withoutAnswer is for a request that the upstream has not answered, as far as anybody knows. Whether it may have acted on
// it makes no difference with a safe method (RFC 9110 section 9.2.1), which can always be sent again.
func withoutAnswer(status int, method string, maybeProcessed bool, detail string) *problem {
	if maybeProcessed && !retry.Safe(method) {
		p := newProblem("outcome-unknown", status, "The upstream may have processed the request", detail)
		p.processed = processedUnknown
		return p
	}
	p := newProblem("no-answer", status, "No attempt reached a final answer", detail)
	p.processed = processedNo
	return p
}

// timeUp is for a request whose state machine did not end in time.
func timeUp(method, detail string) *problem {
	p := withoutAnswer(http.StatusGatewayTimeout, method, true, detail)
	p.late = true
	return p
}

func engineFailed(method, detail string) *problem {
	p := newProblem("engine-failed", http.StatusBadGateway, "The state machine failed", detail)
	if p.processed = processedUnknown; retry.Safe(method) {
		p.processed = processedNo
	}
	return p
}

// engineRetryAfter is what a caller is asked to wait when Step Functions could not be reached, or Lambda had no room.
const engineRetryAfter = 5 * time.Second

func engineUnavailable(detail string) *problem {
	p := newProblem("engine-unavailable", http.StatusServiceUnavailable, "The state machine could not be started", detail)
	p.RetryAfter, p.processed = engineRetryAfter, processedNo
	return p
}

// bodiesUnavailable is for a body that could not be written to the bucket of large bodies, or read from it, so that nothing was sent
// for whoever gets it.
func bodiesUnavailable(detail string) *problem {
	p := newProblem("large-bodies-unavailable", http.StatusServiceUnavailable, "The body could not be written or read", detail)
	p.RetryAfter, p.processed = engineRetryAfter, processedNo
	return p
}

// answerTooLarge takes the place of the body of an upstream's answer that is larger than the function URL can carry. Its status
// is that of the answer.
func answerTooLarge(envelope *message.Envelope, method string) *problem {
	p := newProblem("answer-too-large", envelope.StatusCode, "The upstream's answer is too large",
		"The status and the fields are the upstream's. Its answer is larger than the function URL can carry, which is 6 MB: about 4.5 MB of bytes, and more of text.")
	if p.processed = processedNo; maybeProcessed(envelope) && !retry.Safe(method) {
		p.processed = processedUnknown
	}
	p.attempts = envelope.Attempts
	return p
}

// answerUnread is for an answer of the upstream that is in the bucket of large bodies, and could not be read from there.
func answerUnread(envelope *message.Envelope, method string) *problem {
	p := withoutAnswer(http.StatusBadGateway, method, maybeProcessed(envelope),
		"The upstream has answered, and its answer could not be read from the bucket of large bodies. Whoever sends the request again with the same Idempotency-Key gets what was recorded.")
	p.attempts, p.own = envelope.Attempts, true
	return p
}

// maybeProcessed says whether the upstream may have acted on a request: it has, if it gave a final answer, whatever that says.
func maybeProcessed(envelope *message.Envelope) bool {
	for _, attempt := range envelope.Attempts {
		if attempt.MaybeProcessed {
			return true
		}
	}
	return envelope.Outcome == retry.Succeeded
}

// tokenKeysUnavailable is for a request of which nobody can tell whose it is.
func tokenKeysUnavailable(detail string) *problem {
	p := newProblem("token-keys-unavailable", http.StatusServiceUnavailable, "The caller's token could not be verified", detail)
	p.RetryAfter, p.processed = engineRetryAfter, processedNo
	return p
}

// proxiesUnavailable is for a request whose proxies Lambda did not run, for want of room as a rule.
func proxiesUnavailable(detail string, attempts []retry.Attempt) *problem {
	p := newProblem("proxies-unavailable", http.StatusServiceUnavailable, "No proxy could be run", detail)
	p.RetryAfter, p.processed = engineRetryAfter, processedNo
	p.attempts = attempts
	return p
}

// credentialsUnavailable is for a request that was not sent, because the credential for the upstream could not be had.
func credentialsUnavailable(attempts []retry.Attempt) *problem {
	p := newProblem("upstream-credentials-unavailable", http.StatusServiceUnavailable, "There is no credential for the upstream",
		"The credential with which the upstream is called could not be had. The upstream was not called with this attempt.")
	p.RetryAfter, p.processed = engineRetryAfter, processedNo
	p.attempts = attempts
	return p
}

// response writes a problem as HTTP, for a request with this id and this Accept field.
//
// The members error and message are extensions for clients that look for them in the place of the status: the SDKs of Stripe,
// OpenAI, Anthropic, GitHub and others take a body without them for a success, or for an error that says nothing.
func (p *problem) response(requestID, accept string) idempotencyhttp.Response {
	document := p.Problem
	text := p.Title + ": " + p.Detail
	document.Extensions = map[string]any{
		"instance": "urn:uuid:" + requestID,
		"message":  text,
		"error":    map[string]string{"type": "api_error", "code": strings.TrimPrefix(p.Type, idempotencyhttp.ProblemTypeBase), "message": text},
	}
	if len(p.attempts) > 0 {
		document.Extensions["attempts"] = retry.Told(p.attempts)
	}
	if p.processed != "" {
		document.Extensions["processed"] = p.processed
	}
	response := document.Response()
	if len(p.attempts) > 0 {
		response.Headers["proxy-status"] = proxyStatus(p.attempts)
	}
	if p.proxyStatus != "" {
		response.Headers["proxy-status"] = p.proxyStatus
	}
	if p.allow != "" {
		response.Headers["allow"] = p.allow
	}
	if wantsPlainJSON(accept) {
		response.Headers["content-type"] = "application/json"
	}
	return response
}

// wantsPlainJSON says whether an Accept field asks for JSON, in whatever form, and not for problem documents. Many clients
// parse an answer only if its type is application/json.
func wantsPlainJSON(accept string) bool {
	plain := false
	for _, member := range message.Members(accept) {
		mediaType, parameters, err := mime.ParseMediaType(member)
		if err != nil {
			continue
		}
		if quality, err := strconv.ParseFloat(parameters["q"], 64); err == nil && quality == 0 {
			continue
		}
		switch {
		case mediaType == "application/problem+json":
			return false
		case mediaType == "application/json", strings.HasPrefix(mediaType, "application/") && strings.HasSuffix(mediaType, "+json"):
			plain = true
		}
	}
	return plain
}
