package handler

import (
	"net/http"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/idempotencyhttp"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

// An ending is how a request ended, in one word, for the log. There are no others than these.
type ending string

const (
	asAnswered    ending = "answered"    // with the upstream's final answer
	asReplayed    ending = "replayed"    // with an answer that an earlier request with its key got
	asAccepted    ending = "accepted"    // it is asynchronous, and under way
	asTold        ending = "told"        // with what is known of an asynchronous request, or what the gateway says itself without being asked for more
	asConflict    ending = "conflict"    // another request has its key, or it belongs to another payload
	asRefused     ending = "refused"     // with another problem below 500
	asGivenUp     ending = "given-up"    // the upstream gave no final answer
	asUnknown     ending = "unknown"     // as given-up or unavailable, and the upstream may have carried it out
	asUnavailable ending = "unavailable" // through a fault of ours, or of AWS
)

// conflicts are the problems of requests whose key another one has.
var conflicts = map[string]bool{idempotencyhttp.KeyInUse: true, idempotencyhttp.KeyReused: true}

// ours are the problems from 500 on that the upstream has no part in.
var ours = map[string]bool{
	"engine-failed":                    true,
	"engine-unavailable":               true,
	"large-bodies-unavailable":         true,
	"loop-detected":                    true, // the settings lead back to here
	"proxies-unavailable":              true,
	"token-keys-unavailable":           true,
	"upstream-credentials-unavailable": true,
	idempotencyhttp.StoreUnavailable:   true,
}

// ending says in one word how a request ended.
func (o outcome) ending() ending {
	p := o.problem
	switch {
	case p == nil && o.as != "":
		return o.as
	case p == nil && o.final:
		return asAnswered
	case p == nil:
		return asGivenUp
	case p.Status < http.StatusInternalServerError && conflicts[p.Name()]:
		return asConflict
	case p.Status < http.StatusInternalServerError:
		return asRefused
	case p.processed == processedUnknown:
		return asUnknown
	case p.ours():
		return asUnavailable
	}
	return asGivenUp
}

// counts are the metrics that count a request, beside MetricRequests. Each answer from 500 on is in one of MetricUpstreamFailed and
// MetricUnavailable, unless it is the upstream's final one, or that of an asynchronous request: its end is counted by the proxy
// that comes to it, once, however often somebody asks for it.
func (o outcome) counts() []string {
	end := o.ending()
	switch end {
	case asReplayed:
		return []string{message.MetricReplays}
	case asConflict:
		return []string{message.MetricConflicts}
	case asRefused:
		return []string{message.MetricRefused}
	case asAnswered, asAccepted, asTold:
		return nil
	}
	if o.counted {
		return nil
	}
	counts := []string{message.MetricUpstreamFailed}
	switch {
	case o.problem != nil && o.problem.ours():
		counts[0] = message.MetricUnavailable
	case o.late || o.problem != nil && o.problem.late:
		counts = append(counts, message.MetricDeadlinesExceeded)
	}
	if end == asUnknown {
		counts = append(counts, message.MetricOutcomesUnknown)
	}
	return counts
}

// ours says whether a problem is a fault that the upstream has no part in.
func (p *problem) ours() bool { return p.own || ours[p.Name()] }
