package handler

import (
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/idempotencyhttp"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// answered turns the envelope that an execution ended with into HTTP: the upstream's answer, or a problem if there is none.
func (g *Gateway) answered(envelope *message.Envelope, method string) outcome {
	out := outcome{made: envelope.Attempts, gaveUp: envelope.Outcome == retry.Failed, late: envelope.Error == retry.DeadlineExceeded}
	retryAfter, known := g.retryAfter(envelope)
	if envelope.StatusCode == 0 {
		out.problem = unanswered(envelope, method)
		if out.gaveUp = out.problem.Status != http.StatusServiceUnavailable; out.gaveUp && known {
			out.problem.RetryAfter = max(retryAfter, time.Second)
		}
		return out
	}
	expiration := time.Unix(envelope.Expiration, 0)
	if envelope.Release {
		expiration = time.Unix(0, 0)
	}
	out.response = g.decorate(envelope, expiration)
	if envelope.Bodiless {
		out.bodiless = answerTooLarge(envelope, method)
	}
	out.final = envelope.Outcome == retry.Succeeded
	// Of a request that was not repeated, because that is not safe, whoever sends it knows more than we do.
	out.gaveUp = out.gaveUp && envelope.Error != retry.UnsafeToRepeat
	if known {
		out.response.Headers["retry-after"] = retryAfterSeconds(retryAfter)
	}
	return out
}

// retryAfter is how long whoever comes again should wait, if the request failed and that is known: until the moment that
// the upstream named, in the last answer or before, or else until after a backoff.
func (g *Gateway) retryAfter(envelope *message.Envelope) (wait time.Duration, known bool) {
	told := false
	for _, attempt := range envelope.Attempts {
		told = told || attempt.NotBefore != 0
	}
	if envelope.NotBefore == 0 || !told && (g.omitRetryAdvice || envelope.Error == retry.UnsafeToRepeat) {
		return 0, false
	}
	wait = max(0, time.UnixMilli(envelope.NotBefore).Sub(g.now()))
	if !told {
		// A backoff is drawn, and may be next to nothing. Nobody is sent back at once to an upstream that has just failed.
		wait = max(wait, leastAdvice)
	}
	return wait, true
}

// leastAdvice is the least that callers are told to wait where the upstream has not said how long.
const leastAdvice = time.Second

// decorate adds what the gateway says of an upstream's answer: through whom it came, and if it is recorded, how long it
// lives. An answer that is not recorded expires at the Unix epoch.
func (g *Gateway) decorate(envelope *message.Envelope, expiration time.Time) idempotencyhttp.Response {
	response := idempotencyhttp.Response(envelope.Response)
	if response.Headers == nil {
		response.Headers = make(map[string]string)
	}
	g.forwarding.RemoveForged(response.Headers)
	// An upstream that is itself behind proxies tells of those first: they are nearer to the origin, RFC 9209 section 2.
	// A record that another program wrote tells of no attempts.
	if len(envelope.Attempts) > 0 && !g.hideAttempts {
		response.Headers["proxy-status"] = joinFields(response.Headers["proxy-status"], proxyStatus(envelope.Attempts))
	}
	protocol := "1.1"
	if message.IsToken(envelope.Protocol) {
		protocol = envelope.Protocol
	}
	response.Headers["via"] = joinFields(response.Headers["via"], protocol+" "+g.pseudonym)
	if expiration.Unix() > 0 && !envelope.Bodiless {
		response = g.cache.Decorate(response, idempotency.Record{Expiration: expiration}.Left(g.now()))
	}
	return response
}

// retryAfterSeconds writes a delay as RFC 9110 section 10.2.3 has it, rounded up so that nobody comes too early. The delay is
// up to a moment that was rounded up to a millisecond before, which must not become a second more.
func retryAfterSeconds(delay time.Duration) string {
	return strconv.FormatInt(int64(math.Ceil(max(0, delay-time.Millisecond+time.Nanosecond).Seconds())), 10)
}

// unanswered says that no attempt reached an answer that can be handed back.
func unanswered(envelope *message.Envelope, method string) *problem {
	attempts := envelope.Attempts
	if neverCalled(attempts) && attempts[len(attempts)-1].Details == message.RequestBodyUnread {
		p := bodiesUnavailable("The proxies could not read the body of the request from the bucket of large bodies. The upstream was not called.")
		p.attempts = attempts
		return p
	}
	if neverCalled(attempts) {
		return proxiesUnavailable("Lambda ran none of the proxies: "+attempts[len(attempts)-1].Details+". The upstream was not called.", attempts)
	}
	status, detail := http.StatusBadGateway, "The attempts that the policy allows were used up."
	switch envelope.Error {
	case retry.DeadlineExceeded:
		status, detail = http.StatusGatewayTimeout, "The deadline came before the upstream gave a final answer."
	case retry.UnsafeToRepeat:
		detail = "The upstream may have processed the request, and the request is not safe to repeat: its method is not idempotent (RFC 9110 section 9.2.2) and it carries no Idempotency-Key."
	case retry.NotRetryable:
		detail = "The attempt failed in a way that another one would have met as well."
	case message.CredentialsUnavailable:
		detail = "The credential with which the upstream is called could not be had for another attempt."
	case message.Superseded:
		detail = "Another request has the Idempotency-Key by now, since this one was not started in time. Nothing was sent."
	case message.AnswerTooLarge:
		detail = "The upstream's answer is larger than a state of the state machine can hold."
	case message.AnswerNotKept:
		detail = "The upstream has answered, and its answer could not be written to the bucket of large bodies."
	}
	if len(attempts) > 0 && timedOut(attempts[len(attempts)-1]) {
		status = http.StatusGatewayTimeout
	}
	if envelope.Error == message.CredentialsUnavailable && (!maybeProcessed(envelope) || retry.Safe(method)) {
		return credentialsUnavailable(attempts)
	}
	p := withoutAnswer(status, method, maybeProcessed(envelope), detail)
	p.attempts = attempts
	p.own = envelope.Error == message.AnswerNotKept || envelope.Error == message.CredentialsUnavailable
	return p
}

// timeouts are the failures of attempts that took too long. RFC 9209 section 2.3 recommends 504 for them.
var timeouts = map[retry.ErrorType]bool{
	retry.DNSTimeout:             true,
	retry.ConnectionTimeout:      true,
	retry.ConnectionReadTimeout:  true,
	retry.ConnectionWriteTimeout: true,
	retry.HTTPResponseTimeout:    true,
}

// timedOut says whether an attempt ended because it took too long, by its own time or by that of its proxy.
func timedOut(a retry.Attempt) bool {
	return timeouts[a.Error] || message.Lost(a) && (a.Details == "States.Timeout" || a.Details == "Sandbox.Timedout")
}

// neverCalled says whether no attempt came as far as the upstream, because Lambda did not run its proxy.
func neverCalled(attempts []retry.Attempt) bool {
	for _, attempt := range attempts {
		if !message.NeverRan(attempt) {
			return false
		}
	}
	return len(attempts) > 0
}
