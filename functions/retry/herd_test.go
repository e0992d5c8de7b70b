package retry_test

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// Airtable lets five requests a second through, and after a 429 none for 30 seconds.
func TestTwelveRequestsAtOnceGetThroughAirtablesLimitWithTwoCallsEachAtMost(t *testing.T) {
	t.Parallel()
	policy, err := retry.Vendor("airtable")
	if err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1)).Float64
		type call struct {
			at      time.Duration
			history []retry.Attempt
		}
		due := make([]call, 12)
		var passed []time.Duration // calls that were let through
		locked := time.Duration(0) // until when none is
		for len(due) > 0 {
			slices.SortStableFunc(due, func(a, b call) int { return int(a.at - b.at) })
			now := due[0]
			due = due[1:]
			inLastSecond := 0
			for _, at := range passed {
				if now.at-at < time.Second {
					inLastSecond++
				}
			}
			if now.at >= locked && inLastSecond < 5 {
				passed = append(passed, now.at)
				continue
			}
			locked = now.at + 30*time.Second
			result := retry.Result{Status: 429, Header: http.Header{}, Received: noon.Add(now.at)}
			request := retry.Request{Method: "POST", Path: "/v0/base/table", Proxies: 3, Deadline: noon.Add(60 * time.Second)}
			d := policy.Next(request, now.history, result, random)
			if len(now.history) > 0 || d.Outcome != retry.Again {
				t.Fatalf("seed %d: a second 429, or no second call, after %v: %s", seed, now.at, d.Why)
			}
			due = append(due, call{now.at + d.Delay, append(now.history, result.Attempt("", time.Time{}, d))})
		}
		if len(passed) != 12 {
			t.Fatalf("seed %d: %d of 12 got through", seed, len(passed))
		}
	}
}
