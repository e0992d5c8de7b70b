package handler

import (
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/idempotencyhttp"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

// settles says whether a final answer settles the operation, so that it is recorded for whoever repeats the request.
func settles(request *message.Request, response *message.Response) bool {
	return idempotencyhttp.StoreFinal(idempotencyhttp.Response(*response)) &&
		!idempotencyhttp.AnswersCondition(idempotencyhttp.Request{Headers: request.Headers}, response.StatusCode)
}
