package handler

import (
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/idempotencyhttp"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

// settles says whether a final answer settles the operation, so that it is recorded for whoever repeats the request. An
// answer to a condition never does.
func (p *Proxy) settles(request *message.Request, response *message.Response, byRule *bool) bool {
	settled, ruled := p.recorded[response.StatusCode]
	switch {
	case byRule != nil:
		settled = *byRule
	case !ruled:
		settled = idempotencyhttp.StoreFinal(idempotencyhttp.Response(*response))
	}
	return settled && !idempotencyhttp.AnswersCondition(idempotencyhttp.Request{Headers: request.Headers}, response.StatusCode)
}
