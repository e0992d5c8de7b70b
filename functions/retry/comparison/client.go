package comparison

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/failsafe-go/failsafe-go/failsafehttp"
	"github.com/hashicorp/go-retryablehttp"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry/retryhttp"
)

// A client is a way to have requests repeated.
type client struct {
	name string

	// over returns what sends a request of a program, over a base that sends it once, and returns the status of the answer.
	// random is for jitter.
	over func(base http.RoundTripper, random *rand.Rand) func(*http.Request) (int, error)
}

// thisPolicy is the name of the policy of package retry.
const thisPolicy = "this policy"

// clients are what is compared, each with its defaults.
var clients = []client{
	{"go-retryablehttp 0.7.8", func(base http.RoundTripper, _ *rand.Rand) func(*http.Request) (int, error) {
		c := retryablehttp.NewClient()
		c.HTTPClient.Transport = base
		c.Logger = nil
		return do(c.StandardClient())
	}},
	{"failsafe-go 0.9.8", func(base http.RoundTripper, _ *rand.Rand) func(*http.Request) (int, error) {
		policy := failsafehttp.NewRetryPolicyBuilder().Build()
		return do(&http.Client{Transport: failsafehttp.NewRoundTripper(base, policy)})
	}},
	{"cenkalti/backoff 5.0.3", backoffLoop},
	ours(thisPolicy, retry.Policy{}),
}

// ours is what package retryhttp makes of a policy.
func ours(name string, policy retry.Policy) client {
	return client{name, func(base http.RoundTripper, random *rand.Rand) func(*http.Request) (int, error) {
		return do(&http.Client{Transport: &retryhttp.Transport{Base: base, Policy: policy, Random: random.Float64}})
	}}
}

// do sends a request by a client, and reads the answer.
func do(c *http.Client) func(*http.Request) (int, error) {
	return func(r *http.Request) (int, error) {
		response, err := c.Do(r)
		if err != nil {
			return 0, err
		}
		defer response.Body.Close()
		_, err = io.Copy(io.Discard, response.Body)
		return response.StatusCode, err
	}
}

// backoffLoop is the loop that the documentation of cenkalti/backoff has for HTTP, with the errors of servers as well.
func backoffLoop(base http.RoundTripper, random *rand.Rand) func(*http.Request) (int, error) {
	send := func(r *http.Request) (int, error) {
		response, err := (&http.Client{Transport: base}).Do(r)
		if err != nil {
			return 0, err
		}
		defer response.Body.Close()
		io.Copy(io.Discard, response.Body)
		if response.StatusCode == http.StatusTooManyRequests {
			if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil {
				return response.StatusCode, backoff.RetryAfter(seconds)
			}
		}
		if response.StatusCode == http.StatusTooManyRequests || response.StatusCode >= http.StatusInternalServerError {
			return response.StatusCode, fmt.Errorf("the status is %s", response.Status)
		}
		return response.StatusCode, nil
	}
	return func(r *http.Request) (int, error) {
		delays := backoff.NewExponentialBackOff()
		delays.RandomizationFactor = 0
		return backoff.Retry(r.Context(), func() (int, error) { return send(r) }, backoff.WithBackOff(jittered{delays, random}))
	}
}

// jittered is the jitter of cenkalti/backoff, half of the delay more or less, from numbers that are the same every time.
type jittered struct {
	*backoff.ExponentialBackOff
	random *rand.Rand
}

func (j jittered) NextBackOff() time.Duration {
	return time.Duration(float64(j.ExponentialBackOff.NextBackOff()) * (1 + backoff.DefaultRandomizationFactor*(2*j.random.Float64()-1)))
}

// request returns a request of one of the programs.
func request(ctx context.Context, program int) *http.Request {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://upstream.test/things", nil)
	if err != nil {
		panic(err)
	}
	r.Header.Set(programField, strconv.Itoa(program))
	return r
}
