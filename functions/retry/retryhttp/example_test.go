package retryhttp_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry/retryhttp"
)

// A program that uses go-retryablehttp changes the line that makes its client. What it does with the client stays as it is.
func Example() {
	upstream := httptest.NewServer(failOnce())
	defer upstream.Close()

	// Before: client := retryablehttp.NewClient().StandardClient()
	client := retryhttp.NewClient(retry.Policy{})

	response, err := client.Get(upstream.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer response.Body.Close()
	fmt.Println(response.Status)
	// Output: 200 OK
}

// A Transport goes over the one that a program has, and tells what it does.
func ExampleTransport() {
	upstream := httptest.NewServer(failOnce())
	defer upstream.Close()

	client := &http.Client{
		Timeout: 20 * time.Second, // for all attempts together
		Transport: &retryhttp.Transport{
			Base:   http.DefaultTransport,
			Policy: retry.Policy{ServerErrors: retry.Budget{Attempts: 5, Base: time.Millisecond}},
			OnAttempt: func(_ *http.Request, a retryhttp.Attempt) {
				fmt.Println(a.Number, a.Status, a.Decision.Outcome)
			},
		},
	}
	response, err := client.Get(upstream.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	response.Body.Close()
	// Output:
	// 1 503 retry
	// 2 200 succeeded
}

// The error of a request to which no answer came says why it was not repeated, and whether the upstream may have acted on it.
func ExampleError() {
	upstream := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		panic(http.ErrAbortHandler) // the connection is closed without an answer
	}))
	defer upstream.Close()

	_, err := retryhttp.NewClient(retry.Policy{}).Post(upstream.URL, "text/plain", nil)
	var failed *retryhttp.Error
	if errors.As(err, &failed) {
		fmt.Println(failed.Reason, len(failed.Attempts), failed.MaybeProcessed())
	}
	// Output: UnsafeToRepeat 1 true
}

// failOnce answers the first call with 503.
func failOnce() http.Handler {
	failed := false
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !failed {
			failed = true
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
}
