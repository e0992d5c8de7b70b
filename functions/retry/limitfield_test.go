package retry_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// A spelling is how a vendor writes the names of its fields: {} stands for the word for the quantity.
func spellings(t *rapid.T) string {
	prefix := rapid.SampledFrom([]string{"", "X-", "X-Acme-", "Acme-", "x_acme_", "X-Acme-Api-", "X-Ms-"}).Draw(t, "prefix")
	limit := rapid.SampledFrom([]string{"RateLimit", "Rate-Limit", "rate_limit", "Limit", "Quota", "Throttle", "Api-Limit"}).Draw(t, "limit")
	what := rapid.SampledFrom([]string{"", "Requests", "Search-Index", "User", "Api-Key", "Day", "24hour", "Tokens-Minute", "Writes"}).Draw(t, "what")
	switch {
	case what == "":
		return prefix + limit + "-{}"
	case rapid.Bool().Draw(t, "the quantity last"):
		return prefix + limit + "-" + what + "-{}"
	}
	return prefix + limit + "-{}-" + what
}

// What a quota is called does not matter, nor which of the words for a quantity are taken, nor in what form the reset is.
func TestAQuotaIsReadWhateverItIsCalled(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		name := spellings(t)
		wait := time.Duration(rapid.IntRange(1, 30*24*60*60).Draw(t, "seconds")) * time.Second
		left := rapid.SampledFrom([]string{"Remaining", "Left", "Available", "remain"}).Draw(t, "left")
		reset := rapid.SampledFrom([]struct{ word, value string }{
			{"Reset", fmt.Sprint(int(wait.Seconds()))},
			{"Resets", wait.String()},
			{"Reset-After", fmt.Sprint(int(wait.Seconds()))},
			{"Until", noon.Add(wait).Format(time.RFC3339)},
			{"Reset-At", fmt.Sprint(noon.Add(wait).Unix())},
			{"Reset-Time", noon.Add(wait).Format(http.TimeFormat)},
			{"ResetTime", noon.Add(wait).Format(http.TimeFormat)},
			{"Reset-Ms", fmt.Sprint(wait.Milliseconds())},
			{"Time-Reset-Ms", fmt.Sprint(wait.Milliseconds())},
			{"Reset-Timestamp", fmt.Sprint(noon.Add(wait).UnixMilli())},
			{"Reset-Epoch", fmt.Sprint(noon.Add(wait).UnixMicro())},
			{"Renews-In", fmt.Sprintf("%d seconds", int(wait.Seconds()))},
			{"Interval-Milliseconds", fmt.Sprint(wait.Milliseconds())},
			{"Window", fmt.Sprint(int(wait.Seconds()))},
			{"Retry-After", fmt.Sprint(int(wait.Seconds()))},
		}).Draw(t, "reset")
		header := http.Header{}
		header.Set(strings.Replace(name, "{}", left, 1), rapid.SampledFrom([]string{"0", "-3", "0.0", `"0"`, " 0 ", "0/50"}).Draw(t, "value"))
		header.Set(strings.Replace(name, "{}", reset.word, 1), reset.value)
		header.Set(strings.Replace(name, "{}", "Limit", 1), "50")
		limited := rapid.Bool().Draw(t, "a rate limit")
		s := retry.ReadSignals(header, noon, limited)
		if !s.Exhausted || s.Floor != wait || s.Doubtful {
			t.Fatalf("%v is read as %+v, want %v", header, s, wait)
		}
		if limited {
			return
		}
		header.Set(strings.Replace(name, "{}", left, 1), "7")
		if s := retry.ReadSignals(header, noon, false); s.Exhausted || s.Field != "" {
			t.Fatalf("%v, of which something remains, is read as %+v", header, s)
		}
	})
}

func TestNamesThatAreNotOfLimitsAreNotRead(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"X-Limit", "Content-Limit", "Reset", "X-Reset", "X-Password-Reset", "X-Remaining", "Remaining", "Left", "X-Request-Id", "X-Requests",
		"X-Total-Remaining", "X-Total-Left", "X-Pages-Left", "X-Page-Limit-Remaining", "X-Pagination-Remaining", "X-Records-Remaining",
		"X-Credits-Remaining", "X-Balance-Remaining", "X-Seats-Available", "X-Stock-Available", "X-Update-Available", "X-Padding-Left",
		"X-Storage-Quota-Remaining", "X-Disk-Quota-Left", "X-Upload-Limit-Remaining", "X-Body-Limit-Remaining", "X-Timeout-Limit-Reset",
		"X-Retry", "X-Retry-Count", "X-Retry-Limit", "X-Retry-Limit-Remaining", "X-RateLimit-Retry-Count", "Retry-Attempt", "X-Retries-Left",
		"X-Envoy-Retry-On", "X-Should-Retry", "X-Accel-Limit-Rate", "X-Unlimited", "X-Delimiter-Reset", "X-Preset", "X-Time-Left",
		"X-Request-Time-Left", "X-Trial-Days-Left", "X-Wait", "X-Backoff", "Limit-Wait", "Access-Control-Expose-Headers", "Alt-Svc",
		"X-RateLimit", "X-RateLimit-Limit", "X-RateLimit-Cost", "X-RateLimit-Bucket", "X-RateLimit-Global", "X-RateLimit-FillRate",
		"X-RateLimit-Limit-Minute", "X-RateLimit-Reset-Requests", "X-RateLimit-Interval-Seconds", "RateLimit-Policy", "X-RateLimit-Scope",
		"X-RateLimit-Retry-Limit", "X-RateLimit-Max-Retry", "X-RateLimit-Burst-Capacity", "X-RateLimit-Requested-Tokens",
	} {
		for _, value := range []string{"0", "30", "1795262430"} {
			header := http.Header{}
			header.Set(name, value)
			if s := retry.ReadSignals(header, noon, true); s.Field != "" || s.Exhausted {
				t.Errorf("%s: %s is read as %+v", name, value, s)
			}
		}
	}
}

// A value that cannot be understood, or that nobody can mean, is as if the field were not there.
func TestMalformedValuesChangeNothing(t *testing.T) {
	t.Parallel()
	for _, fields := range [][]string{
		{"X-RateLimit-Remaining: none", "X-RateLimit-Reset: soon"}, {"X-RateLimit-Remaining: --1"}, {"X-RateLimit-Remaining: 0x0"},
		{"X-RateLimit-Remaining: 0:x"}, {"X-RateLimit-Remaining: 0/x"}, {"X-RateLimit-Remaining: "}, {"X-RateLimit-Remaining: ,"},
		{`X-RateLimit: {"remaining":0,"until":"2026-11-21T12:00:03Z"`}, {`X-RateLimit: {"remaining":"none"}`}, {`X-RateLimit: {} {"remaining":0}`},
		{`X-RateLimit: [[[[[[[{"remaining":0}]]]]]]]`}, {`X-RateLimit: "remaining=0; resets=42`}, {"X-RateLimit: =0; =42"},
		{"X-RateLimit-Usage: x", "X-RateLimit-Limit: x"}, {"X-RateLimit-Usage: 0", "X-RateLimit-Limit: 0"}, {"X-RateLimit-Usage: 5,5", "X-RateLimit-Limit: 5"},
		{"X-Amzn-RateLimit-Limit: 0.0"}, {"X-Amzn-RateLimit-Limit: -0.5"}, {"X-Amzn-RateLimit-Limit: 0.0000001"}, {"X-Amzn-RateLimit-Limit: 1e-2"},
		{"X-RateLimit-Reset-Timestamp: 30"}, {"X-RateLimit-Reset-Ms: 99999999999"}, {"X-RateLimit-Retry-After: -5"},
	} {
		header := headerOf(fields)
		if s := retry.ReadSignals(header, noon, true); s.Field != "" || s.Exhausted {
			t.Errorf("%q is read as %+v", fields, s)
		}
	}
	for _, c := range []struct {
		fields []string
		want   string
	}{
		{[]string{"X-RateLimit-Remaining: 0", "X-RateLimit-Reset: soon", "X-RateLimit-Interval-Seconds: 7"}, "7s"},
		{[]string{"X-RateLimit-Remaining: 0, x", "X-RateLimit-Reset: 3, 80000"}, "3s"},
		{[]string{"X-RateLimit-Remaining: 0, 0", "X-RateLimit-Reset: soon, 80"}, "1m20s"},
		{[]string{"X-RateLimit-Remaining: 0, 5", "X-RateLimit-Reset: soon, 80", "X-RateLimit-Interval-Seconds: 7"}, "7s"},
		{[]string{"X-RateLimit-Remaining: 0, 5, 6", "X-RateLimit-Reset: 3, 80000"}, "-"}, // no place agrees with another
		{[]string{"X-RateLimit-Remaining: 0, 0, 0", "X-RateLimit-Reset: 3, 80"}, "1m20s"},
		{[]string{"X-RateLimit-Remaining: 0;w=never", "X-RateLimit-Reset: 30"}, "30s"},
		{[]string{"X-RateLimit-Remaining: 0;w=never"}, "-"},
		{[]string{"X-Acme-Retry-After: soon", "X-RateLimit-Retry: 20"}, "20s"},
		{[]string{"X-RateLimit-Remaining-Hour: 0", "X-RateLimit-Reset: 99999999"}, "1h0m0s"},
	} {
		if got := read(c.fields...); got != c.want {
			t.Errorf("%q is read as %s, want %s", c.fields, got, c.want)
		}
	}
}

func headerOf(fields []string) http.Header {
	header := http.Header{}
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		header.Add(name, value)
	}
	return header
}

// A map has no order, and what is read must not depend on it.
func TestWhatIsReadDoesNotDependOnTheOrderOfTheFields(t *testing.T) {
	t.Parallel()
	rows := signalRows(t)
	for range 20 {
		// Two answers in one, so that fields contend with each other.
		a, b := rows[rand.IntN(len(rows))].header, rows[rand.IntN(len(rows))].header
		want := retry.ReadSignals(mixed(a, b), noon, true)
		for range 20 {
			if got := retry.ReadSignals(mixed(a, b), noon, true); got != want {
				t.Fatalf("%v and %v are read as %+v, and as %+v", a, b, want, got)
			}
		}
	}
}

func TestFieldsThatDifferOnlyInCaseAreReadInOneOrder(t *testing.T) {
	t.Parallel()
	for range 100 {
		header := http.Header{"X-Ratelimit-Remaining": {"0"}, "x-ratelimit-remaining": {"5"}, "X-Ratelimit-Reset": {"3, 80"}}
		if s := retry.ReadSignals(header, noon, true); s.Floor != 3*time.Second {
			t.Fatalf("read as %+v, want 3s", s)
		}
		for _, who := range []string{"User", "App"} {
			header = http.Header{"X-" + who + "-Ratelimit-Reset": {"30"}, "X-Ratelimit-" + who + "-Limit": {"5"}}
			if s := retry.ReadSignals(header, noon, true); s.Field != "" {
				t.Fatalf("read as %+v, want nothing of one quota of several", s)
			}
		}
	}
}

// An answer that is no rate limit by its status has two resets that are about more than the quota.
func TestOfResetsThatStandInTheOneThatIsAboutTheLeastCounts(t *testing.T) {
	t.Parallel()
	header := headerOf([]string{"X-RateLimit-Remaining-Requests-Minute: 0", "X-RateLimit-Reset-Requests: 20", "X-RateLimit-Reset: 40"})
	if s := retry.ReadSignals(header, noon, false); s.Floor != 20*time.Second {
		t.Errorf("read as %+v, want 20s", s)
	}
}

func TestAWindowInWhichNothingRemainsIsUsedUp(t *testing.T) {
	t.Parallel()
	if s := retry.ReadSignals(headerOf([]string{"X-RateLimit-Window-Remaining: 0"}), noon, true); !s.Exhausted {
		t.Errorf("read as %+v", s)
	}
}

// mixed enters the fields of two headers into a new map, in any order.
func mixed(headers ...http.Header) http.Header {
	m := http.Header{}
	for _, h := range headers {
		names := slices.Collect(maps.Keys(h))
		rand.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		for _, name := range names {
			m[name] = h[name]
		}
	}
	return m
}

// What is doubtful is waited for as long as the policy allows, and does not end the request.
func TestWhatIsDoubtfulIsWaitedForAsLongAsThePolicyAllows(t *testing.T) {
	t.Parallel()
	fields := []string{"X-Rate-Limit-Remaining: 800", "X-Rate-Limit-Reset: 1795263300"}
	policy := retry.Policy{Scope: retry.PerAccount, RetryAfterMax: time.Minute}
	wantAgain(t, get(t, policy).answers(429, fields...), time.Minute)
	policy.RetryAfterMax = time.Hour
	wantAgain(t, get(t, policy).answers(429, fields...), 15*time.Minute)
	policy.RetryAfterMax = time.Minute
	fields[0] = "X-Rate-Limit-Remaining: 0"
	if d := get(t, policy).answers(429, fields...); d.Outcome != retry.Failed || d.Reason != retry.DeadlineExceeded {
		t.Errorf("%s (%s), want %s for what is not doubtful", d.Outcome, d.Why, retry.DeadlineExceeded)
	}
}

func FuzzNamesAndValuesOfLimitsThatNobodyKnows(f *testing.F) {
	for _, seed := range [][6]string{
		{"X-RateLimit-Remaining", "0, 12", "X-RateLimit-Reset", "3, 80000", "X-RateLimit-Policy", "1;w=1, 100;w=60"},
		{"Zendesk-RateLimit-search-index", "total=10; remaining=0; resets=42", "X-RateLimit-Scope", "user", "X-Limit", "1:2,3:4"},
		{"X-RateLimit", `{"period":10,"remaining":0,"until":"2026-11-21T12:00:03Z","a":{"b":[{"left":-1,"resetMs":5}]}}`, "Retry-After-Ms", "5", "X-Retry-In", "Sat, 5"},
		{"X-App-Rate-Limit", "20:1,100:120", "X-App-Rate-Limit-Count", "20:1,40:120", "X-Amzn-RateLimit-Limit", "0.0167"},
		{"X-Rate-Limit-Api-Token-Interval-Ms", "10000", "X-Rate-Limit-Api-Token-Remaining", "0", "RateLimit", `"a";r=-1;t=-1;pk=:YQ==:`},
		{"X-RateLimit-UserRemaining", `"0`, "X-RateLimit-UserReset", "1795262430000000000", "X-RateLimit-Remaining-1s", "-0"},
		{"", "0", "-", "0", "limitlimitlimitlimitlimitratelimitratelimitresetreset", "0=0;0=0,0"},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3], seed[4], seed[5], true)
	}
	f.Fuzz(func(t *testing.T, name1, value1, name2, value2, name3, value3 string, limited bool) {
		header := http.Header{name1: {value1}}
		header.Add(name2, value2)
		header[name3] = append(header[name3], value3)
		s := retry.ReadSignals(header, noon, limited)
		if s.Floor < 0 || s.Floor > retry.MaxCredibleFloor {
			t.Errorf("floor %v", s.Floor)
		}
		if s.Field == "" && (s.Floor != 0 || s.Doubtful || s.RetryAfter) {
			t.Errorf("no field, and yet %+v", s)
		}
		if s.Doubtful && (!limited || s.RetryAfter || s.Floor == 0) {
			t.Errorf("doubtful, and yet %+v", s)
		}
		if s.Scope != "" && s.Scope != retry.PerAccount && s.Scope != retry.PerAddress {
			t.Errorf("scope %q", s.Scope)
		}
		if again := retry.ReadSignals(mixed(header), noon, limited); again != s {
			t.Errorf("read as %+v, and then as %+v", s, again)
		}
	})
}
