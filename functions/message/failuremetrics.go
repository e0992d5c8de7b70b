package message

import (
	"slices"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// FailureMetrics are the metrics that count a request with a method that has ended with the envelope, if its caller gets no final
// answer of the upstream: MetricUnavailable where that is a fault of ours, and else MetricUpstreamFailed. A request that was stopped,
// or whose key another one has by now, is nobody's failure.
//
// The proxy counts an asynchronous request by it when it ends. Of all others the gateway knows more, such as that there was no
// envelope; where there is one, it counts the same.
func (e *Envelope) FailureMetrics(method string) []string {
	if e.Outcome == retry.Succeeded && e.StatusCode != 0 || e.Error == Stopped || e.Error == Superseded {
		return nil
	}
	counts := []string{MetricUpstreamFailed}
	switch {
	case e.Error == CredentialsUnavailable, e.Error == AnswerNotKept, e.StatusCode == 0 && neverCalled(e.Attempts):
		counts[0] = MetricUnavailable
	case e.Error == retry.DeadlineExceeded:
		counts = append(counts, MetricDeadlinesExceeded)
	}
	done := func(a retry.Attempt) bool { return a.MaybeProcessed }
	if e.StatusCode == 0 && !retry.Safe(method) && (e.Outcome == retry.Succeeded || slices.ContainsFunc(e.Attempts, done)) {
		counts = append(counts, MetricOutcomesUnknown)
	}
	return counts
}

// neverCalled says whether there were attempts, and Lambda ran the proxy of none.
func neverCalled(attempts []retry.Attempt) bool {
	return len(attempts) > 0 && !slices.ContainsFunc(attempts, func(a retry.Attempt) bool { return !NeverRan(a) })
}
