package handler

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/execution"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// maxCallback is the most that a callback takes as JSON, in bytes. With an answer that makes it larger, it goes without the body.
const maxCallback = 256 << 10

// callbackIDDigits is how much of the name of a callback is its webhook-id: 128 bits, the same in all attempts, and for whoever
// looks through the logs the beginning of the name of the execution that made them.
const callbackIDDigits = 32

// errNoCallbacks is the error of an invocation with a callback, where the environment knows of none.
var errNoCallbacks = errors.New("proxy: the execution is a callback, and the environment names no secret for it with CALLBACK_SECRET")

// errNothingToTell is the error of a callback of an execution that was stopped, or is started again, or of which nothing is kept
// any more.
var errNothingToTell = errors.New("proxy: there is nothing to tell of the execution")

// errUntold is the error of a callback of an execution that has not ended, by what is known of it.
var errUntold = errors.New("proxy: the execution that is to be told of has not ended")

// ofCallbacks are the settings of what makes callbacks: a proxy of its own, with the same timeouts, attempts and backoff. What the
// policy knows of the upstream, by routes and rules, does not hold for others.
func (s settings) ofCallbacks() settings {
	policy := s.policy
	policy.Routes, policy.Signals = nil, nil
	return settings{
		name: s.name, proxies: s.proxies, policy: policy, secretCache: s.secretCache, allowedNetworks: s.allowedNetworks, authorities: s.authorities,
		auth: message.UpstreamAuth{Kind: message.AuthWebhook, Secret: s.callbackSecret},
	}
}

// A notice is what a callback says, in the form that Standard Webhooks recommends.
type notice struct {
	Type      string     `json:"type"` // execution.succeeded or execution.failed
	Timestamp string     `json:"timestamp"`
	Data      noticeData `json:"data"`
}

type noticeData struct {
	execution.Status

	// Reason is why an execution failed.
	Reason retry.Reason `json:"reason,omitempty"`

	// Response is the upstream's final answer, or the last one of an execution that failed. Nil if there was none. A body that
	// does not fit is missing.
	Response *noticeResponse `json:"response,omitempty"`
}

type noticeResponse struct {
	StatusCode      int               `json:"statusCode"`
	Headers         map[string]string `json:"headers"`
	Cookies         []string          `json:"cookies,omitempty"`
	Body            *string           `json:"body,omitempty"`
	IsBase64Encoded bool              `json:"isBase64Encoded"`
}

// callbackOf makes the request of a callback. What it is signed with is put in when it is sent.
func (p *Proxy) callbackOf(ctx context.Context, callback *execution.Execution) (*message.Request, error) {
	whom := callback.Callback
	x, err := p.executions.Get(ctx, whom.Of)
	switch {
	case errors.Is(err, execution.ErrNotFound):
		return nil, errNothingToTell
	case err != nil:
		return nil, fmt.Errorf("proxy: what is known of the execution that is to be told of could not be read: %w", err)
	case x.NewCallback(time.Time{}).Name != callback.Name:
		return nil, errNothingToTell // it was started again, and has another callback
	}
	now := p.clock.Now()
	told := notice{Timestamp: execution.Moment(cmp.Or(x.EndedAt, x.Deadline)), Data: noticeData{Status: x.StatusAt(now, whom.Origin, whom.ID, whom.HideAttempts)}}
	switch told.Data.Status.Status {
	case execution.Succeeded:
		told.Type = "execution.succeeded"
	case execution.Failed:
		told.Type, told.Data.Reason = "execution.failed", message.ProxiesLost
		if x.Lost == nil {
			told.Data.Reason = retry.DeadlineExceeded
		}
	case execution.Stopped:
		return nil, errNothingToTell
	default:
		return nil, errUntold
	}
	if x.Answer != "" {
		answer, err := p.executions.Answer(ctx, x.Answer)
		if err != nil {
			return nil, fmt.Errorf("proxy: the answer of the execution that is to be told of could not be read: %w", err)
		}
		told.Data.Reason, told.Data.Response = answer.Error, responseOf(answer)
	}
	text, err := json.Marshal(told)
	if err == nil && len(text) > maxCallback && told.Data.Response != nil {
		told.Data.Response.Body = nil
		text, err = json.Marshal(told)
	}
	if err != nil {
		return nil, err
	}
	request := execution.CallbackRequest()
	if err := request.SetCallback(whom.URL); err != nil {
		return nil, err
	}
	request.Headers = map[string]string{
		"content-type": "application/json",
		"user-agent":   "retrying-api-proxy",
		"webhook-id":   "msg_" + callback.Name[:callbackIDDigits],
	}
	request.SetBody(text)
	return request, nil
}

// responseOf is what a callback tells of an answer. Nil if the upstream gave none.
func responseOf(answer *message.Envelope) *noticeResponse {
	if answer.StatusCode == 0 {
		return nil
	}
	r := &noticeResponse{StatusCode: answer.StatusCode, Headers: answer.Headers, Cookies: answer.Cookies, IsBase64Encoded: answer.IsBase64Encoded}
	if r.Headers == nil {
		r.Headers = map[string]string{}
	}
	if answer.BodyObject == "" && !answer.Bodiless {
		r.Body = &answer.Body
	}
	return r
}

// delivered makes of an answer to a callback what that means: nothing but 2xx has taken it. What else the policy calls final, a
// redirect among it, is a failure. Of the answer, only the status is kept.
func delivered(out *message.Envelope) *message.Envelope {
	if out.Outcome == retry.Again {
		return out
	}
	if last := len(out.Attempts) - 1; out.Outcome == retry.Succeeded && out.Attempts[last].Status/100 != 2 {
		out.Outcome, out.Error = retry.Failed, message.CallbackRefused
	}
	out.Response = message.Response{StatusCode: out.StatusCode}
	return out
}
