package retry_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// Time can run out before net/http has so much as looked for a connection. The request is not to blame for that.
func TestTimeThatRanOutBeforeThereWasAConnectionDoesNotMakeTheRequestABadOne(t *testing.T) {
	for _, err := range []error{context.DeadlineExceeded, fmt.Errorf("wait for a connection: %w", context.DeadlineExceeded)} {
		failure := retry.ClassifyFailure(err, new(retry.Trace))
		if failure.Type != retry.ConnectionTimeout || failure.Processed != retry.NotProcessed {
			t.Errorf("%v is a %s, processed perhaps: %v; want connection_timeout, and that nothing was sent", err, failure.Type, failure.Processed)
		}
		decision := retry.Policy{}.Next(retry.Request{Method: "POST"}, nil, retry.Result{Failure: failure, Received: noon}, lowest)
		if decision.Outcome != retry.Again {
			t.Errorf("after %v a POST ends with %s: %s", err, decision.Reason, decision.Why)
		}
	}
}
