package retry_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// A request is limited, told to come again in two seconds, and limited once more from another address: the limit is by
// account. Randomness is fixed here, so that the example always prints the same.
func ExamplePolicy_Next() {
	policy := retry.Default()
	now := time.Date(2026, time.November, 21, 12, 0, 0, 0, time.UTC)
	request := retry.Request{Method: http.MethodGet, Proxies: 3, Deadline: now.Add(policy.Deadline)}
	half := func() float64 { return 0.5 }

	var history []retry.Attempt
	for _, result := range []retry.Result{
		{Status: 429, Header: http.Header{"Retry-After": {"2"}}},
		{Status: 429, Header: http.Header{"Retry-After": {"2"}}},
		{Status: 503},
		{Status: 200},
	} {
		result.Received = now
		decision := policy.Next(request, history, result, half)
		proxy := fmt.Sprintf("proxy-%d", len(history)%request.Proxies+1)
		history = append(history, result.Attempt(proxy, now, decision))
		now = now.Add(decision.Delay)
		fmt.Println(proxy, decision.Outcome, decision.Delay)
		fmt.Println("       ", decision.Why)
	}
	// Output:
	// proxy-1 retry 0s
	//         429: the next proxy makes a quick try at once, to find out whether the limit is by address
	// proxy-2 retry 2.05s
	//         429: Retry-After asks for 2s, and backoff above it up to 2.1s, jitter full
	// proxy-3 retry 500ms
	//         503: backoff of up to 1s, jitter full
	// proxy-1 succeeded 0s
	//         200: final
}

// A POST is repeated only if nothing was done.
func ExamplePolicy_Next_unsafe() {
	request := retry.Request{Method: http.MethodPost, Proxies: 3}
	random := func() float64 { return 0 }
	for _, result := range []retry.Result{
		{Status: 502},
		{Status: 429},
		{Failure: &retry.Failure{Type: retry.ConnectionReadTimeout, Processed: retry.MaybeProcessed}},
		{Failure: &retry.Failure{Type: retry.ConnectionRefused, Processed: retry.NotProcessed}},
	} {
		decision := retry.Default().Next(request, nil, result, random)
		fmt.Printf("%s %q\n", decision.Outcome, decision.Reason)
	}
	// Output:
	// failed "UnsafeToRepeat"
	// retry ""
	// failed "UnsafeToRepeat"
	// retry ""
}

// A trace is attached to the request, and read if the request fails.
func ExampleClassifyFailure() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	listener.Close() // nothing listens any more

	trace := new(retry.Trace)
	ctx := httptrace.WithClientTrace(context.Background(), trace.ClientTrace())
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+listener.Addr().String(), nil)
	if err != nil {
		panic(err)
	}
	_, err = http.DefaultTransport.RoundTrip(request)
	failure := retry.ClassifyFailure(err, trace)
	fmt.Println(failure.Type, "may have been processed:", failure.Processed)
	// Output: connection_refused may have been processed: false
}
