package stack_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// preset has the functions follow the preset of a vendor.
func preset(t *testing.T, vendor string) setting {
	t.Helper()
	p, err := retry.Vendor(vendor)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return policy(string(text))
}

// What Shopify's GraphQL API answers when too few points are left, and when there are enough.
const (
	throttledQuery = `{"errors":[{"message":"Throttled","extensions":{"code":"THROTTLED"}}],"extensions":{"cost":{"requestedQueryCost":60,"throttleStatus":{"currentlyAvailable":10,"restoreRate":50.0}}}}`
	answeredQuery  = `{"data":{"shop":{"name":"example"}}}`
)

func TestAThrottleOfGraphQLIsRepeatedAnsweredAndNeverRecorded(t *testing.T) {
	t.Parallel()
	u := play(t, respond(200, throttledQuery), respond(200, throttledQuery), respond(200, answeredQuery))
	s := start(t, u.URL, preset(t, "shopify"))
	query := func() answer {
		return send(t, s, http.MethodPost, "/admin/api/2026-10/graphql.json", `{"query":"{shop{name}}"}`, "Idempotency-Key", "query-1")
	}
	query().expect(t, 200, answeredQuery, "proxy-1; received-status=200, proxy-2; received-status=200, proxy-3; received-status=200")
	if again := query(); again.Body != answeredQuery || !again.replayed() || len(u.received()) != 3 {
		t.Errorf("the repeated request is answered with %d %s after %d calls, want the recorded answer", again.Status, again.Body, len(u.received()))
	}
	for i, a := range attempts(t, s)[:2] {
		if a.Wait < 1000 || !strings.Contains(a.Why, "rule graphql-throttled asks for 1s") {
			t.Errorf("attempt %d was followed by %d ms because of %q, want the second that 50 points take at 50 a second", i+1, a.Wait, a.Why)
		}
	}
}

func TestAThrottleThatLastsIsHandedBackAndTheKeyIsFree(t *testing.T) {
	t.Parallel()
	u := play(t, respond(200, throttledQuery), respond(200, answeredQuery))
	s := start(t, u.URL, preset(t, "shopify"))
	query := func(fields ...string) answer {
		return send(t, s, http.MethodPost, "/graphql", `{}`, append(fields, "Idempotency-Key", "query-1")...)
	}
	first := query("Prefer", "attempts=1")
	if first.Status != 200 || first.Body != throttledQuery || first.Header.Get("Retry-After") == "" {
		t.Errorf("the first answer is %d %s with %v, want the throttle and when to come again", first.Status, first.Body, first.Header)
	}
	if second := query(); second.Body != answeredQuery || second.replayed() {
		t.Errorf("the second answer is %s, replayed: %t; want a new one", second.Body, second.replayed())
	}
}

func TestAQuotaOfTheDayThatIsUsedUpCostsOneCall(t *testing.T) {
	t.Parallel()
	u := play(t, respond(403, `{"error":{"errors":[{"domain":"usageLimits","reason":"dailyLimitExceeded"}],"code":403}}`))
	s := start(t, u.URL, preset(t, "google"))
	a := get(t, s, "/drive/v3/files")
	wait, err := strconv.Atoi(a.Header.Get("Retry-After"))
	pacific := time.Now().UTC().Add(-8 * time.Hour)
	left := pacific.Truncate(24 * time.Hour).Add(24 * time.Hour).Sub(pacific)
	if a.Status != 403 || err != nil || (time.Duration(wait)*time.Second-left).Abs() > time.Minute {
		t.Errorf("the answer is %d with Retry-After %q, want 403 and the %v until midnight in the west", a.Status, a.Header.Get("Retry-After"), left)
	}
}

func TestAQuotaThatLastsForDaysCostsOneCallAndTheTrueTimeIsTold(t *testing.T) {
	t.Parallel()
	reset := time.Now().Add(16 * 24 * time.Hour).Unix()
	u := play(t, status(429, "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", strconv.FormatInt(reset, 10)))
	s := start(t, u.URL)
	a := get(t, s, "/")
	wait, err := strconv.ParseInt(a.Header.Get("Retry-After"), 10, 64)
	if a.Status != 429 || err != nil || wait < reset-time.Now().Unix()-60 || wait > reset-time.Now().Unix()+60 {
		t.Errorf("the answer is %d with Retry-After %q, want 429 and 16 days", a.Status, a.Header.Get("Retry-After"))
	}
}

func TestAnAnswerThatARuleReadsComesInACodingThatItCanRead(t *testing.T) {
	t.Parallel()
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	if _, err := w.Write([]byte(throttledQuery)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	u := play(t, respond(200, zipped.String(), "Content-Encoding", "gzip"), respond(200, answeredQuery))
	s := start(t, u.URL, preset(t, "shopify"))
	send(t, s, http.MethodPost, "/graphql", "{}", "Accept-Encoding", "br;q=1.0, gzip;q=0.8, zstd, *;q=0.1").expect(t, 200, answeredQuery,
		"proxy-1; received-status=200, proxy-2; received-status=200")
	if got := u.received()[0].Header.Get("Accept-Encoding"); got != "gzip;q=0.8" {
		t.Errorf("the upstream was asked for %q, want gzip alone", got)
	}
	u = play(t, status(200))
	s = start(t, u.URL, preset(t, "shopify"))
	get(t, s, "/rest", "Accept-Encoding", "br, gzip")
	if got := u.received()[0].Header.Get("Accept-Encoding"); got != "br, gzip" {
		t.Errorf("a request that no rule is for asked for %q", got)
	}
}

func TestRoutesHaveTheirOwnBudgetsAndTimeouts(t *testing.T) {
	t.Parallel()
	slow := func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(1200 * time.Millisecond) // longer than a search may take
		w.WriteHeader(http.StatusOK)
	}
	const routes = `{"serverErrors": {"attempts": 2, "base": "1ms", "max": "1ms"}, "networkFailures": {"attempts": 2, "base": "1ms", "max": "1ms"},
		"routes": [{"methods": ["GET"], "path": "/search", "attemptTimeout": "600ms", "deadline": "20s"}, {"path": "/once", "serverErrors": {"attempts": 1}}]}`
	u := play(t, slow, status(200), slow, status(500), status(500), status(500))
	s := start(t, u.URL, policy(routes))
	get(t, s, "/search?q=1").expect(t, 200, "OK", `proxy-1; error=connection_read_timeout; details="the request was written, and no answer came in time", proxy-2; received-status=200`)
	if a := get(t, s, "/searching"); a.Status != 200 {
		t.Errorf("a request of no route is answered with %d %s", a.Status, a.Body)
	}
	get(t, s, "/once").expect(t, 500, "Internal Server Error", "proxy-1; received-status=500")
	get(t, s, "/twice").expect(t, 500, "Internal Server Error", "proxy-1; received-status=500, proxy-2; received-status=500")
}
