package retry_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// policyOf reads a policy from its JSON.
func policyOf(t *testing.T, text string) retry.Policy {
	t.Helper()
	var p retry.Policy
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		t.Fatal(err)
	}
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	return p
}

// answered is the answer with a status, a body and header fields in pairs.
func answered(status int, body string, fields ...string) retry.Result {
	r := retry.Result{Status: status, Header: http.Header{}, Body: []byte(body), Received: noon}
	for i := 0; i < len(fields); i += 2 {
		r.Header.Add(fields[i], fields[i+1])
	}
	return r
}

var (
	getOrders  = retry.Request{Method: http.MethodGet, Path: "/v1/orders", Proxies: 3}
	postOrders = retry.Request{Method: http.MethodPost, Path: "/v1/orders", Proxies: 3}
)

const throttled = `{"signals": [{
	"name": "throttled", "statuses": [200], "methods": ["POST"], "path": "/v1",
	"when": {"expression": "errors[].extensions.code", "equals": "THROTTLED"},
	"verdict": "rate-limit", "wait": {"fixed": "2s"}, "scope": "per-account"
}]}`

func TestAThrottleInsideASuccessIsARateLimitByARule(t *testing.T) {
	t.Parallel()
	p := policyOf(t, throttled)
	d := p.Next(postOrders, nil, answered(200, `{"data":null,"errors":[{"message":"x"},{"extensions":{"code":"THROTTLED"}}]}`), lowest)
	if d.Outcome != retry.Again || d.Kind != retry.RateLimit || d.MaybeProcessed || d.Delay < 2*time.Second {
		t.Errorf("%+v; want another attempt after 2 s or more, as of a rate limit", d)
	}
	if !strings.Contains(d.Why, "by rule throttled") || !strings.Contains(d.Why, "rule throttled asks for 2s") {
		t.Errorf("the reason %q does not name the rule", d.Why)
	}
}

func TestARuleIsForItsStatusesMethodsPathAndConditionOnly(t *testing.T) {
	t.Parallel()
	p := policyOf(t, throttled)
	limit := `{"errors":[{"extensions":{"code":"THROTTLED"}}]}`
	elsewhere, beside, itself := postOrders, postOrders, postOrders
	elsewhere.Path, beside.Path, itself.Path = "/v2/orders", "/v10", "/v1"
	for what, c := range map[string]struct {
		request retry.Request
		result  retry.Result
		want    retry.Outcome
	}{
		"all of it":            {postOrders, answered(200, limit), retry.Again},
		"the path itself":      {itself, answered(200, limit), retry.Again},
		"another path":         {elsewhere, answered(200, limit), retry.Succeeded},
		"a path that goes on":  {beside, answered(200, limit), retry.Succeeded},
		"another method":       {getOrders, answered(200, limit), retry.Succeeded},
		"another status":       {postOrders, answered(201, limit), retry.Succeeded},
		"another code":         {postOrders, answered(200, `{"errors":[{"extensions":{"code":"OTHER"}}]}`), retry.Succeeded},
		"no errors":            {postOrders, answered(200, `{"data":{}}`), retry.Succeeded},
		"no JSON":              {postOrders, answered(200, `THROTTLED`), retry.Succeeded},
		"two documents":        {postOrders, answered(200, limit+limit), retry.Succeeded},
		"no body":              {postOrders, answered(200, ``), retry.Succeeded},
		"errors of other form": {postOrders, answered(200, `{"errors":"THROTTLED"}`), retry.Succeeded},
	} {
		if d := p.Next(c.request, nil, c.result, lowest); d.Outcome != c.want {
			t.Errorf("%s: %s (%s), want %s", what, d.Outcome, d.Why, c.want)
		}
	}
}

func TestTheFirstRuleThatMatchesDecides(t *testing.T) {
	t.Parallel()
	p := policyOf(t, `{"signals": [
		{"name": "used-up", "statuses": [429], "when": {"expression": "error.code", "equals": "insufficient_quota"}, "verdict": "final"},
		{"name": "busy", "statuses": [429], "wait": {"fixed": "30s"}}
	]}`)
	if d := p.Next(getOrders, nil, answered(429, `{"error":{"code":"insufficient_quota"}}`, "Retry-After", "5"), lowest); d.Outcome != retry.Succeeded {
		t.Errorf("a 429 that is ruled final is followed by %s", d.Outcome)
	}
	one := retry.Request{Method: "GET", Proxies: 1}
	if d := p.Next(one, nil, answered(429, `{}`), lowest); d.Outcome != retry.Again || d.Delay != 30*time.Second {
		t.Errorf("%+v, want the 30 s of the second rule", d)
	}
}

func TestConditionsCompareFieldsAndBodies(t *testing.T) {
	t.Parallel()
	const body = `{"code": 17, "name": "busy", "ok": false, "list": ["a", "b"], "none": null, "empty": [], "deep": {"n": 4.5}}`
	for when, want := range map[string]bool{
		`{"expression": "code", "equals": 17}`:                                    true,
		`{"expression": "code", "equals": 18}`:                                    false,
		`{"expression": "code", "equals": "17"}`:                                  false,
		`{"expression": "code", "matches": "^1[0-9]$"}`:                           true,
		`{"expression": "ok", "equals": false}`:                                   true,
		`{"expression": "ok", "present": true}`:                                   false,
		`{"expression": "ok"}`:                                                    false,
		`{"expression": "name"}`:                                                  true,
		`{"expression": "name", "matches": "(?i)BUSY"}`:                           true,
		`{"expression": "list", "equals": "b"}`:                                   true,
		`{"expression": "list", "matches": "c"}`:                                  false,
		`{"expression": "none", "present": false}`:                                true,
		`{"expression": "empty", "present": false}`:                               true,
		`{"expression": "missing", "present": false}`:                             true,
		`{"expression": "deep", "equals": {"n": 4.5}}`:                            true,
		`{"expression": "deep.n", "equals": 4.5}`:                                 true,
		`{"expression": "length(missing)", "present": true}`:                      false, // an error of JMESPath
		`{"field": "X-Code", "equals": "17"}`:                                     true,
		`{"field": "x-code", "equals": 17}`:                                       true,
		`{"field": "X-Code", "matches": "7"}`:                                     true,
		`{"field": "X-Code"}`:                                                     true,
		`{"field": "X-Other"}`:                                                    false,
		`{"field": "X-Other", "present": false}`:                                  true,
		`{"field": "X-Several", "equals": "two"}`:                                 true,
		`{"field": "X-Usage", "expression": "calls", "equals": 100}`:              true,
		`{"field": "X-Usage", "expression": "calls", "equals": 99}`:               false,
		`{"field": "X-Code", "expression": "calls"}`:                              false,
		"{\"expression\": \"find_first('ab', 'b', `5`)\", \"present\": true}":     false, // the library panics
		"{\"expression\": \"code >= `17` && !ok\", \"equals\": true}":             true,
		`{"expression": "not_null(missing, name)", "equals": "busy"}`:             true,
		`{"expression": "missing[].x", "present": true}`:                          false,
		`{"field": "X-Usage", "expression": "limits[].{a: a}", "present": false}`: true,
	} {
		p := policyOf(t, `{"signals": [{"name": "r", "when": `+when+`, "verdict": "rate-limit"}]}`)
		r := answered(200, body, "X-Code", "17", "X-Several", "one", "X-Several", "two", "X-Usage", `{"calls": 100}`)
		if got := p.Next(getOrders, nil, r, lowest).Kind == retry.RateLimit; got != want {
			t.Errorf("%s is met: %t, want %t", when, got, want)
		}
	}
}

func TestTheWaitOfARuleIsReadInItsUnit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ unit, value, want string }{
		{"seconds", `7`, "7s"},
		{"seconds", `"7"`, "7s"},
		{"seconds", `7.25`, "7.25s"},
		{"milliseconds", `1500`, "1.5s"},
		{"minutes", `19`, "19m0s"},
		{"epoch", `1795262430`, "30s"},
		{"epoch", `30`, "-"},
		{"epoch", `1795262430000`, "-"},
		{"epoch-milliseconds", `1795262430250`, "30.25s"},
		{"epoch-milliseconds", `1795262430`, "-"},
		{"date", `"2026-11-21T12:00:45Z"`, "45s"},
		{"date", `"45"`, "-"},
		{"duration", `"3.5s"`, "3.5s"},
		{"duration", `"1m30s"`, "1m30s"},
		{"duration", `"PT1M30.5S"`, "1m30.5s"},
		{"duration", `"P1DT2H"`, "26h0m0s"},
		{"duration", `"P"`, "-"},
		{"duration", `"PT"`, "-"},
		{"duration", `"-3s"`, "-"},
		{"duration", `"9s9"`, "-"},
		{"", `7`, "7s"},
		{"", `"2026-11-21T12:00:45Z"`, "45s"},
		{"", `"6m0s"`, "6m0s"},
		{"seconds", `-7`, "-"},
		{"seconds", `"soon"`, "-"},
		{"seconds", `99999999`, "-"},
		{"minutes", `1e300`, "-"},
		{"seconds", `[3, 9, 5]`, "9s"},
		{"seconds", `{}`, "-"},
		{"seconds", `null`, "-"},
		{"seconds", `true`, "-"},
	} {
		p := policyOf(t, `{"scope": "per-account", "retryAfterMax": "744h", "signals": [{"name": "r", "verdict": "rate-limit",
			"wait": {"expression": "wait", "unit": "`+c.unit+`"}}]}`)
		d := p.Next(getOrders, nil, answered(200, `{"wait": `+c.value+`}`), lowest)
		got := "-"
		if !d.NotBefore.IsZero() {
			got = d.NotBefore.Sub(noon).String()
		}
		if d.Kind != retry.RateLimit || got != c.want {
			t.Errorf("%s in %q: %s (%s), want %s", c.value, c.unit, got, d.Why, c.want)
		}
	}
}

func TestTheWaitOfARuleCanStandInATextOrBeCalculated(t *testing.T) {
	t.Parallel()
	const body = `{"error": "EService:Throttled: 1795262412", "message": "Please try again in 6m0s. See our help.", "cost": {"asked": 101, "available": 1, "rate": 50}}`
	for wait, want := range map[string]time.Duration{
		`{"expression": "error", "matches": "Throttled: ([0-9]+)$", "unit": "epoch"}`:                  12 * time.Second,
		`{"expression": "message", "matches": "try again in ([0-9.hms]+[hms])\\b"}`:                    6 * time.Minute,
		`{"expression": "(cost.asked - cost.available) / cost.rate", "unit": "seconds"}`:               2 * time.Second,
		`{"expression": "message", "matches": "never ([0-9]+)", "fixed": "9s"}`:                        9 * time.Second,
		`{"expression": "(cost.asked - cost.nothing) / cost.rate", "unit": "seconds", "fixed": "3s"}`:  3 * time.Second,
		`{"expression": "cost.available / (cost.rate - cost.rate)", "unit": "seconds", "fixed": "4s"}`: 4 * time.Second,
	} {
		p := policyOf(t, `{"signals": [{"name": "r", "verdict": "rate-limit", "wait": `+wait+`}]}`)
		if d := p.Next(getOrders, nil, answered(200, body), lowest); d.NotBefore.Sub(noon) != want {
			t.Errorf("%s: %v (%s), want %v", wait, d.NotBefore.Sub(noon), d.Why, want)
		}
	}
}

func TestTheWaitOfARuleIsAFloorBesideWhatTheFieldsSay(t *testing.T) {
	t.Parallel()
	p := policyOf(t, `{"scope": "per-account", "signals": [{"name": "r", "statuses": [429], "wait": {"field": "X-Pause", "unit": "seconds", "fixed": "30s"}}]}`)
	for what, c := range map[string]struct {
		fields []string
		want   time.Duration
	}{
		"the field of the rule":                {[]string{"X-Pause", "12"}, 12 * time.Second},
		"the longest of several":               {[]string{"X-Pause", "12", "X-Pause", "14"}, 14 * time.Second},
		"what is fixed, without the field":     {nil, 30 * time.Second},
		"what is fixed, for a value of no use": {[]string{"X-Pause", "soon"}, 30 * time.Second},
		"a Retry-After that is longer":         {[]string{"X-Pause", "12", "Retry-After", "20"}, 20 * time.Second},
		"a Retry-After that is shorter":        {[]string{"X-Pause", "12", "Retry-After", "2"}, 12 * time.Second},
		"not a quota":                          {[]string{"X-Pause", "12", "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "50"}, 12 * time.Second},
	} {
		d := p.Next(getOrders, nil, answered(429, "", c.fields...), lowest)
		if d.Delay < c.want || d.NotBefore.Sub(noon) != c.want {
			t.Errorf("%s: %v (%s), want %v", what, d.Delay, d.Why, c.want)
		}
	}
}

func TestARuleWithAWaitAloneMakesAnErrorOneToRepeat(t *testing.T) {
	t.Parallel()
	p := policyOf(t, `{"signals": [{"name": "r", "statuses": [418], "wait": {"field": "X-Pause"}}]}`)
	if d := p.Next(getOrders, nil, answered(418, "", "X-Pause", "12"), lowest); d.Kind != retry.ServerError || d.Delay < 12*time.Second {
		t.Errorf("%+v, want the judgement of an error with a Retry-After", d)
	}
	if d := p.Next(getOrders, nil, answered(418, ""), lowest); d.Outcome != retry.Succeeded {
		t.Errorf("without the field it is %s (%s), want final as ever", d.Outcome, d.Why)
	}
}

func TestAQuotaOfTheDayEndsTheRequestAtOnce(t *testing.T) {
	t.Parallel()
	const rule = `{"name": "day", "statuses": [403], "when": {"expression": "code", "equals": "DAY"}, "verdict": "rate-limit", "daily": true`
	for what, c := range map[string]struct {
		rule   string
		fields []string
		want   time.Duration
	}{
		"the next midnight":      {rule + `}`, nil, 12 * time.Hour},
		"midnight elsewhere":     {rule + `, "wait": {"midnight": "-08:00"}}`, nil, 20 * time.Hour},
		"midnight in the east":   {rule + `, "wait": {"midnight": "+05:30"}}`, nil, 6*time.Hour + 30*time.Minute},
		"what the rule knows":    {rule + `, "wait": {"fixed": "24h"}}`, nil, 24 * time.Hour},
		"what the field says":    {rule + `}`, []string{"Retry-After", "3600"}, time.Hour},
		"a wait that is shorter": {rule + `, "wait": {"fixed": "1s"}}`, nil, time.Second},
	} {
		p := policyOf(t, `{"signals": [`+c.rule+`]}`)
		d := p.Next(getOrders, nil, answered(403, `{"code":"DAY"}`, c.fields...), lowest)
		if d.Outcome != retry.Failed || d.Reason != retry.DeadlineExceeded || d.RetryAfter != c.want {
			t.Errorf("%s: %s %s after %v, want the end and %v (%s)", what, d.Outcome, d.Reason, d.RetryAfter, c.want, d.Why)
		}
	}
}

func TestTheScopeOfARuleTakesPrecedence(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rule, policy string
		waits        bool
	}{{"per-account", "per-address", true}, {"per-address", "per-account", false}} {
		p := policyOf(t, fmt.Sprintf(`{"scope": %q, "signals": [{"name": "r", "statuses": [429], "wait": {"fixed": "5s"}, "scope": %q}]}`, c.policy, c.rule))
		if d := p.Next(getOrders, nil, answered(429, ""), lowest); d.Delay > 0 != c.waits {
			t.Errorf("%s: the delay is %v (%s)", c.rule, d.Delay, d.Why)
		}
	}
}

func TestARuleSaysWhetherAFinalAnswerIsRecorded(t *testing.T) {
	t.Parallel()
	p := policyOf(t, `{"signals": [{"name": "part", "statuses": [200], "when": {"expression": "failed"}, "verdict": "final", "recorded": false}]}`)
	if d := p.Next(postOrders, nil, answered(200, `{"failed": 1}`), lowest); d.Outcome != retry.Succeeded || d.Recorded == nil || *d.Recorded {
		t.Errorf("%+v, want a final answer that is not recorded", d)
	}
	if d := p.Next(postOrders, nil, answered(200, `{}`), lowest); d.Outcome != retry.Succeeded || d.Recorded != nil {
		t.Errorf("%+v, want a final answer of which no rule says anything", d)
	}
}

func TestAServerErrorByARuleIsNoProofThatNothingWasDone(t *testing.T) {
	t.Parallel()
	p := policyOf(t, `{"signals": [{"name": "broken", "statuses": [200], "when": {"field": "X-Broken"}, "verdict": "server-error"}]}`)
	if d := p.Next(postOrders, nil, answered(200, "", "X-Broken", "1"), lowest); d.Reason != retry.UnsafeToRepeat || !d.MaybeProcessed {
		t.Errorf("%+v, want no repetition of a POST", d)
	}
	if d := p.Next(getOrders, nil, answered(200, "", "X-Broken", "1"), lowest); d.Outcome != retry.Again {
		t.Errorf("%+v, want a repetition of a GET", d)
	}
}

func TestCompressedBodiesAreReadAndOthersAreNot(t *testing.T) {
	t.Parallel()
	p := policyOf(t, throttled)
	limit := []byte(`{"errors":[{"extensions":{"code":"THROTTLED"}}]}`)
	var zipped, deflated, bomb bytes.Buffer
	w := gzip.NewWriter(&zipped)
	w.Write(limit)
	w.Close()
	z := zlib.NewWriter(&deflated)
	z.Write(limit)
	z.Close()
	b := gzip.NewWriter(&bomb)
	b.Write(limit)
	b.Write(bytes.Repeat([]byte(" "), 2<<20))
	b.Close()
	deep := func(n int) []byte {
		return []byte(`{"errors":[{"extensions":{"code":"THROTTLED"}}],"a":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}`)
	}
	for what, c := range map[string]struct {
		coding string
		body   []byte
		want   bool
	}{
		"gzip":                     {"gzip", zipped.Bytes(), true},
		"deflate":                  {"deflate", deflated.Bytes(), true},
		"none, by name":            {"identity", limit, true},
		"a coding that is unknown": {"br", limit, false},
		"gzip that is none":        {"gzip", limit, false},
		"gzip that is cut off":     {"gzip", zipped.Bytes()[:20], false},
		"gzip of more than 1 MiB":  {"gzip", bomb.Bytes(), false},
		"more than 1 MiB":          {"", append(bytes.Repeat([]byte(" "), 1<<20), limit...), false},
		"64 deep":                  {"", deep(63), true},
		"deeper":                   {"", deep(64), false},
		"brackets in a string":     {"", []byte(`{"errors":[{"extensions":{"code":"THROTTLED"}}],"a":"\"` + strings.Repeat("[", 99) + `"}`), true},
	} {
		r := answered(200, string(c.body))
		if c.coding != "" {
			r.Header.Set("Content-Encoding", c.coding)
		}
		if got := p.Next(postOrders, nil, r, lowest).Kind == retry.RateLimit; got != c.want {
			t.Errorf("%s: read as a limit: %t, want %t", what, got, c.want)
		}
	}
	cut := answered(200, string(limit))
	cut.Failure = &retry.Failure{Type: retry.HTTPResponseIncomplete, Processed: retry.MaybeProcessed}
	if d := p.Next(postOrders, nil, cut, lowest); d.Kind != retry.NetworkFailure {
		t.Errorf("a body that was cut off is judged as %s", d.Kind)
	}
}

func TestABodyIsAskedForOnlyWhereARuleLooksAtIt(t *testing.T) {
	t.Parallel()
	p := policyOf(t, `{"signals": [
		{"name": "a", "statuses": [200], "path": "/v1", "when": {"expression": "x"}, "verdict": "final"},
		{"name": "b", "statuses": [503], "when": {"field": "X-Usage", "expression": "x"}, "verdict": "final"},
		{"name": "c", "statuses": [429], "wait": {"expression": "x"}}
	]}`)
	other := getOrders
	other.Path = "/other"
	for _, c := range []struct {
		request retry.Request
		status  int
		want    bool
	}{{getOrders, 200, true}, {other, 200, false}, {getOrders, 503, false}, {other, 429, true}, {getOrders, 404, false}} {
		if got := p.ReadsBody(c.request, c.status); got != c.want {
			t.Errorf("the body of a %d at %s is asked for: %t, want %t", c.status, c.request.Path, got, c.want)
		}
	}
	if !p.ReadsBodies(other) || (retry.Policy{}).ReadsBodies(getOrders) {
		t.Error("whether any body is asked for is not what the rules say")
	}
}

func TestEveryFaultOfARuleIsNamed(t *testing.T) {
	t.Parallel()
	yes := true
	p := retry.Policy{Signals: []retry.Rule{
		{Name: "Bad Name", Statuses: []int{99}, Methods: []string{"get"}, Path: "v1?x", Verdict: "maybe", Scope: "per-planet"},
		{Name: "twice", Verdict: retry.Final, Daily: true},
		{Name: "twice"},
		{Name: "when", Verdict: retry.Final, When: retry.Condition{Field: "a b", Expression: "a[", Matches: "(", Present: &yes}},
		{Name: "what", Verdict: retry.Final, When: retry.Condition{Equals: 1}},
		{Name: "function", Verdict: retry.Final, When: retry.Condition{Expression: "sha(x)"}},
		{Name: "wait", Wait: retry.Wait{Unit: "hours", Matches: "x", Fixed: -1, Midnight: "PST"}},
	}}
	err := p.Validate()
	if err == nil {
		t.Fatal("no fault is found")
	}
	for _, want := range []string{
		`Signals[0] (Bad Name).Name is "Bad Name": give up to 40 lower-case letters, digits and hyphens`,
		`Signals[0] (Bad Name).Statuses has 99: give statuses from 200 to 599`,
		`Signals[0] (Bad Name).Methods has "get": give names of methods in upper case`,
		`Signals[0] (Bad Name).Path is "v1?x": begin it with a slash`,
		`Signals[0] (Bad Name).Path is "v1?x": give the path alone, without a query`,
		`Signals[0] (Bad Name).Verdict is "maybe": give "final", "rate-limit" or "server-error", or leave it out`,
		`Signals[0] (Bad Name).Scope is "per-planet"`,
		`Signals[1] (twice).Daily has no effect with the verdict "final"`,
		`Signals[2] (twice).Name is that of another rule`,
		`Signals[2] (twice).Verdict, Recorded, Wait, Scope and Daily are left out`,
		`Signals[3] (when).When.Field is "a b"`,
		`Signals[3] (when).When.Expression is "a["`,
		`Signals[3] (when).When has more than one of Equals, Matches and Present`,
		`Signals[3] (when).When.Matches is "("`,
		`Signals[4] (what).When says what to compare with, and not what`,
		`Signals[5] (function).When.Expression is "sha(x)": unknown function sha()`,
		`Signals[6] (wait).Wait.Unit is "hours"`,
		`Signals[6] (wait).Wait says how a value is to be read, and not where it is`,
		`Signals[6] (wait).Wait.Matches is "x", with 0 groups`,
		`Signals[6] (wait).Wait.Midnight is "PST"`,
		`Signals[6] (wait).Wait has Fixed and Midnight`,
		`Signals[6] (wait).Wait.Fixed is -1ns`,
	} {
		if !strings.Contains(err.Error(), "retry: "+want) {
			t.Errorf("the message does not say %q:\n%v", want, err)
		}
	}
}

func TestRulesAndRoutesSurviveJSON(t *testing.T) {
	t.Parallel()
	const text = `{"signals":[{"name":"a","statuses":[200],"methods":["POST"],"path":"/x","when":{"field":"F","expression":"e","equals":{"n":1}},` +
		`"verdict":"rate-limit","recorded":false,"wait":{"expression":"w","unit":"minutes","fixed":"1m0s"},"scope":"per-account","daily":true},` +
		`{"name":"b","when":{"field":"F","present":false},"verdict":"rate-limit"}],` +
		`"routes":[{"methods":["GET"],"path":"/search","rateLimits":{"attempts":2},"attemptTimeout":"2s","signals":[{"name":"c","verdict":"final"}]}]}`
	p := policyOf(t, text)
	again, err := json.Marshal(p)
	if err != nil || string(again) != text {
		t.Errorf("written as\n%s (%v), want\n%s", again, err, text)
	}
	for _, unknown := range []string{
		`{"signals":[{"nam":"a"}]}`, `{"signals":[{"name":"a","when":{"is":1}}]}`, `{"signals":[{"name":"a","wait":{"fixd":"1s"}}]}`,
		`{"routes":[{"method":"GET"}]}`, `{"routes":[{"path":"/","retryAfter":"1s"}]}`,
	} {
		if json.Unmarshal([]byte(unknown), new(retry.Policy)) == nil {
			t.Errorf("%s is read, with a member that is not known", unknown)
		}
	}
}

func FuzzRulesReadAnyBody(f *testing.F) {
	for _, seed := range []string{``, `{}`, `{"wait": 5}`, `{"wait": "PT5S", "errors": [{"code": "x"}]}`, `[[[`, `{"wait": 1e999}`, `"`, `{"wait":["1","2026-11-21T12:00:45Z"]}`} {
		f.Add(seed, "", "seconds")
		f.Add(seed, "gzip", "")
		f.Add(`{}`, seed, "duration")
	}
	policies := map[string]retry.Policy{}
	for _, unit := range []string{"", "seconds", "milliseconds", "minutes", "epoch", "epoch-milliseconds", "date", "duration"} {
		var p retry.Policy
		text := `{"scope": "per-account", "signals": [{"name": "r", "when": {"expression": "errors[].code || wait"}, "verdict": "rate-limit", "wait": {"expression": "[wait, max(errors[].wait)][]", "unit": "` + unit + `"}},
			{"name": "f", "when": {"field": "X-Usage", "expression": "*.a"}, "verdict": "server-error", "wait": {"field": "X-Usage", "expression": "*.wait[]"}}]}`
		if err := json.Unmarshal([]byte(text), &p); err != nil {
			f.Fatal(err)
		}
		policies[unit] = p
	}
	f.Fuzz(func(t *testing.T, body, field, unit string) {
		r := answered(200, body, "X-Usage", field, "Content-Encoding", field)
		d := policies[unit].Next(getOrders, nil, r, highest)
		if wait := d.NotBefore.Sub(noon); !d.NotBefore.IsZero() && (wait < 0 || wait > retry.MaxCredibleFloor) {
			t.Errorf("a floor of %v", wait)
		}
	})
}

func TestThePoliciesOfTheDocumentationAreValid(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```json\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(blocks) < 2 {
		t.Fatalf("%d policies, want those of rules and of routes", len(blocks))
	}
	for _, block := range blocks {
		policyOf(t, block[1])
	}
	d := policyOf(t, blocks[0][1]).Next(retry.Request{Method: "POST", Path: "/graphql", Proxies: 3}, nil,
		answered(200, `{"errors":[{"extensions":{"code":"THROTTLED"}}],"extensions":{"retryAfterMs":1500}}`), lowest)
	if d.NotBefore.Sub(noon) != 1500*time.Millisecond {
		t.Errorf("the rule of the documentation waits %v (%s)", d.NotBefore.Sub(noon), d.Why)
	}
}
