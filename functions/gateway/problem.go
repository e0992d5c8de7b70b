package main

import (
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// problemBase is what the type URIs of problems start with. Each leads to its section of the README.
const problemBase = "https://github.com/retrying-api-proxy/retrying-api-proxy#"

// A problem is an answer of the gateway's own, RFC 9457. Everything that is not the upstream's answer is one.
type problem struct {
	Type     string          `json:"type"`
	Title    string          `json:"title"`
	Status   int             `json:"status"`
	Detail   string          `json:"detail"`
	Attempts []retry.Attempt `json:"attempts,omitempty"`

	retryAfter time.Duration
}

func invalidRequest(detail string) *problem {
	return &problem{Type: "invalid-request", Title: "The request cannot be forwarded", Status: http.StatusBadRequest, Detail: detail}
}

func requestTooLarge(detail string) *problem {
	return &problem{Type: "request-too-large", Title: "The request is too large", Status: http.StatusRequestEntityTooLarge, Detail: detail}
}

func loopDetected(detail string) *problem {
	return &problem{Type: "loop-detected", Title: "The request came round to where it was before", Status: http.StatusLoopDetected, Detail: detail}
}

func noAnswer(detail string, attempts []retry.Attempt) *problem {
	return &problem{Type: "no-answer", Title: "No attempt reached a final answer", Status: http.StatusBadGateway, Detail: detail, Attempts: attempts}
}

func deadlineExceeded(detail string, attempts []retry.Attempt) *problem {
	return &problem{Type: "deadline-exceeded", Title: "The deadline came before an answer", Status: http.StatusGatewayTimeout, Detail: detail, Attempts: attempts}
}

func engineFailed(detail string) *problem {
	return &problem{Type: "engine-failed", Title: "The state machine failed", Status: http.StatusBadGateway, Detail: detail}
}

// engineRetryAfter is what a caller is asked to wait when Step Functions could not be reached.
const engineRetryAfter = 5 * time.Second

func engineUnavailable(detail string) *problem {
	return &problem{
		Type: "engine-unavailable", Title: "The state machine could not be started", Status: http.StatusServiceUnavailable, Detail: detail,
		retryAfter: engineRetryAfter,
	}
}

// response writes a problem as HTTP.
func (p *problem) response() events.LambdaFunctionURLResponse {
	document := *p
	document.Type = problemBase + p.Type
	body, err := json.Marshal(document)
	if err != nil {
		panic(err) // the document is made of strings and numbers
	}
	headers := map[string]string{
		"content-type":  "application/problem+json",
		"cache-control": "no-store",
	}
	if p.retryAfter > 0 {
		headers["retry-after"] = retryAfterSeconds(p.retryAfter)
	}
	if len(p.Attempts) > 0 {
		headers["proxy-status"] = proxyStatus(p.Attempts)
	}
	return events.LambdaFunctionURLResponse{StatusCode: p.Status, Headers: headers, Body: string(body)}
}

// retryAfterSeconds writes a delay as RFC 9110 section 10.2.3 has it, rounded up so that nobody comes too early.
func retryAfterSeconds(delay time.Duration) string {
	return strconv.FormatInt(int64(math.Ceil(max(delay, 0).Seconds())), 10)
}
