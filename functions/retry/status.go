package retry

import "net/http"

// A Verdict is how a status is judged.
type Verdict string

const (
	// Final means that the answer is handed to the caller as it is.
	Final Verdict = "final"

	// Limited means that the status is a rate limit. It is taken as proof that the upstream did nothing.
	Limited Verdict = "rate-limit"

	// Erroneous means that the status is a server error.
	Erroneous Verdict = "server-error"
)

// defaultVerdict is how a status is judged that a policy does not rule itself, if the fields of the answer say nothing
// about it. A status of 500 or more that nobody knows, or that is not even a status, counts as 500 (RFC 9110 section 15).
func defaultVerdict(status int) Verdict {
	switch status {
	case http.StatusTooManyRequests:
		return Limited
	case http.StatusRequestTimeout, http.StatusMisdirectedRequest, http.StatusTooEarly:
		return Erroneous
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported, http.StatusLoopDetected, http.StatusNotExtended,
		http.StatusNetworkAuthenticationRequired:
		return Final // they say something about the request or about the way to the upstream, which the next one shares
	}
	if status >= http.StatusInternalServerError {
		return Erroneous
	}
	return Final
}

// verdict returns how the policy judges a status, and whether that is a rule of its own, which the fields of an answer do
// not override.
func (p Policy) verdict(status int) (v Verdict, ruled bool) {
	byDefault := defaultVerdict(status)
	if rule, found := p.Statuses[status]; found && (rule == Final || rule != byDefault) {
		return rule, true
	}
	return byDefault, false
}

// refused says whether a server error is proof that the upstream did nothing. A 421 was not meant for this server, a 425
// was too early for it to risk anything, and a 503 that says when to come again refuses what it was asked for. A 408 is no
// proof: a part of the request did arrive.
func refused(status int, signals Signals) bool {
	switch status {
	case http.StatusMisdirectedRequest, http.StatusTooEarly:
		return true
	case http.StatusServiceUnavailable:
		return signals.RetryAfter
	}
	return false
}
