package retry_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// told is a floor that an upstream named: until when, for which proxy, and whether as a rate limit.
type told struct {
	until time.Time
	place int
	limit bool
}

// TestNoAttemptStartsBeforeAFloorNorWithoutTimeToEnd plays whole requests against upstreams that answer anything, and
// keeps its own books of what was asked for. Time passes as in the state machine: whole seconds in a Wait state, and
// milliseconds in the next proxy.
func TestNoAttemptStartsBeforeAFloorNorWithoutTimeToEnd(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		policy := drawPolicy(t)
		if err := policy.Validate(); err != nil {
			t.Fatalf("a drawn policy is not valid: %v", err)
		}
		full := policy.WithDefaults()
		now := noon.Add(time.Duration(rapid.Int64Range(0, 1e9).Draw(t, "fraction")))
		request := retry.Request{Method: http.MethodGet, Proxies: rapid.IntRange(1, 5).Draw(t, "proxies")}
		request.IdempotencyKey = rapid.Bool().Draw(t, "key")
		request.Credential = rapid.Bool().Draw(t, "credential")
		request.LimitedBy = rapid.SampledFrom([]retry.Scope{"", "", retry.PerAccount}).Draw(t, "limited by")
		inferred := full.Scope == retry.Inferred && !request.Credential && request.LimitedBy == ""
		if rapid.Bool().Draw(t, "has a deadline") {
			request.Deadline = now.Add(time.Duration(rapid.Int64Range(0, int64(10*time.Minute)).Draw(t, "deadline")))
		}
		random := func() float64 { return rapid.Float64Range(0, 1-1e-9).Draw(t, "random") }

		var history []retry.Attempt
		var floors []told
		limits := 0
		for {
			place := len(history) % request.Proxies
			start := now
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(10*time.Second)).Draw(t, "duration")))
			result := drawResult(t, now)
			decision := policy.Next(request, history, result, random)
			again := policy.Next(request, history, result, func() float64 { return 0.5 })
			if decision.Outcome != again.Outcome {
				t.Fatalf("the outcome depends on chance: %s, %s", decision.Outcome, again.Outcome)
			}
			history = append(history, result.Attempt(fmt.Sprint("proxy-", place+1), start, decision))
			limit := decision.Kind == retry.RateLimit
			if limit {
				limits++
			}
			s := retry.ReadSignals(result.Header, now, limit)
			quickTry := inferred && limit && limits == 1 && s.Floor <= time.Minute
			if s.Field != "" {
				floors = append(floors, told{now.Add(s.Floor), place, limit})
			}
			if decision.Outcome != retry.Again {
				break
			}

			whole := decision.Delay.Truncate(time.Second)
			rest := (decision.Delay - whole).Truncate(time.Millisecond)
			now = now.Add(whole).Add(rest)
			next := len(history) % request.Proxies
			for _, f := range floors {
				elsewhere := f.limit && f.place != next
				switch {
				case full.Scope == retry.PerAddress && elsewhere:
				case quickTry && elsewhere:
				case now.Before(f.until):
					t.Fatalf("attempt %d starts %v before the floor; %s", len(history)+1, f.until.Sub(now), decision.Why)
				}
			}
			if !request.Deadline.IsZero() && now.Add(min(retry.MinimumAttemptTime, full.AttemptTimeout)).After(request.Deadline) {
				t.Fatalf("attempt %d starts %v before the deadline", len(history)+1, request.Deadline.Sub(now))
			}
		}
		most := full.RateLimits.Attempts + full.ServerErrors.Attempts + full.NetworkFailures.Attempts - 2
		if len(history) > most {
			t.Fatalf("%d attempts, want %d at most", len(history), most)
		}
	})
}

func drawPolicy(t *rapid.T) retry.Policy {
	duration := rapid.Custom(func(t *rapid.T) time.Duration {
		return time.Duration(rapid.Int64Range(1, int64(2*time.Minute)).Draw(t, "duration"))
	})
	budget := rapid.Custom(func(t *rapid.T) retry.Budget {
		base := duration.Draw(t, "base")
		return retry.Budget{
			Attempts: rapid.IntRange(0, 8).Draw(t, "attempts"),
			Base:     base,
			Max:      base + duration.Draw(t, "more"),
			Jitter:   rapid.SampledFrom([]retry.Jitter{"", retry.FullJitter, retry.EqualJitter, retry.DecorrelatedJitter, retry.NoJitter}).Draw(t, "jitter"),
		}
	})
	return retry.Policy{
		RateLimits:      budget.Draw(t, "rate limits"),
		ServerErrors:    budget.Draw(t, "server errors"),
		NetworkFailures: budget.Draw(t, "network failures"),
		RetryAfterMax:   duration.Draw(t, "retry after max"),
		Scope:           rapid.SampledFrom([]retry.Scope{"", retry.PerAddress, retry.PerAccount, retry.Inferred}).Draw(t, "scope"),
		AttemptTimeout:  time.Millisecond + duration.Draw(t, "attempt timeout"),
	}
}

func drawResult(t *rapid.T, now time.Time) retry.Result {
	status := rapid.SampledFrom([]int{0, 429, 429, 429, 403, 404, 409, 421, 500, 503, 503, 520, 200}).Draw(t, "status")
	if status == 0 {
		return retry.Result{Failure: &retry.Failure{Type: retry.ProxyInternalError, Processed: retry.MaybeProcessed}, Received: now}
	}
	header := http.Header{}
	seconds := rapid.Float64Range(0, 100).Draw(t, "seconds")
	switch rapid.IntRange(0, 7).Draw(t, "form") {
	case 0:
		header.Set("Retry-After", fmt.Sprintf("%.0f", seconds))
	case 1:
		header.Set("Retry-After", fmt.Sprintf("%.9f", seconds))
	case 2:
		server := now.Add(time.Duration(rapid.Int64Range(-1e12, 1e12).Draw(t, "skew")))
		header.Set("Date", server.UTC().Format(http.TimeFormat))
		header.Set("Retry-After", server.Add(time.Duration(seconds*1e9)).UTC().Format(http.TimeFormat))
	case 3:
		header.Set("RateLimit", fmt.Sprintf(`"default";r=0;t=%.0f`, seconds))
	case 4:
		header.Set("X-RateLimit-Remaining", "0")
		header.Set("X-RateLimit-Reset", fmt.Sprint(now.Add(time.Duration(seconds*1e9)).UnixMilli()))
	case 5:
		header.Set("Retry-After", fmt.Sprintf("%.0f, %.3f seconds", seconds/2, seconds))
	case 6:
		age := rapid.IntRange(0, 100).Draw(t, "age")
		header.Set("Age", fmt.Sprint(age))
		header.Set("Retry-After", fmt.Sprintf("%.0f", seconds))
	}
	return retry.Result{Status: status, Header: header, Received: now}
}

func TestAPolicySurvivesJSON(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		policy := drawPolicy(t)
		policy.RepeatableMethods = rapid.SampledFrom([][]string{nil, {}, {"POST"}}).Draw(t, "methods")
		policy.Statuses = rapid.SampledFrom([]map[int]retry.Verdict{nil, {404: retry.Erroneous, 429: retry.Final}}).Draw(t, "statuses")
		text, err := json.Marshal(policy)
		if err != nil {
			t.Fatal(err)
		}
		var read retry.Policy
		if err := json.Unmarshal(text, &read); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if diff := cmp.Diff(policy, read); diff != "" {
			t.Fatalf("%s\n%s", text, diff)
		}
	})
}
