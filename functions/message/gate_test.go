package message_test

import (
	"bytes"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/gate"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/internal/logline"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// gateEnvironment is an environment with a gate, and what a gate needs.
func gateEnvironment(gate string) func(string) string {
	return func(name string) string {
		return map[string]string{"GATE": gate, "TABLE_NAME": "records", "RECORD_PREFIX": "orders"}[name]
	}
}

func TestAGateThatCannotBeReadIsRefusedWithWhatIsWrong(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"adaptive":                              "GATE must be a JSON object with flowControl and circuitBreaker",
		`{`:                                     "GATE must be a JSON object",
		`["adaptive"]`:                          "GATE must be a JSON object",
		`{} {}`:                                 "GATE must be a JSON object",
		`{"flowcontrol":{"mod":"adaptive"}}`:    `unknown field "mod"`,
		`{"breaker":{}}`:                        `unknown field "breaker"`,
		`{"flowControl":{"period":"a minute"}}`: `invalid duration "a minute"`,
		`{"flowControl":{"period":60}}`:         "number",
		`{"circuitBreaker":{"probeInterval":"1"}}`: "missing unit",
	} {
		if g, err := message.GateFrom(gateEnvironment(text), retry.Default()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is read as %+v, error %v, want an error with %s", text, g, err, want)
		}
	}
}

func TestAGateNeedsTheTable(t *testing.T) {
	t.Parallel()
	for _, missing := range []string{"TABLE_NAME", "RECORD_PREFIX"} {
		_, err := message.GateFrom(func(name string) string {
			if name == missing {
				return ""
			}
			return gateEnvironment(`{}`)(name)
		}, retry.Default())
		if err == nil || !strings.Contains(err.Error(), "GATE needs TABLE_NAME and RECORD_PREFIX") {
			t.Errorf("without %s the error is %v", missing, err)
		}
	}
	if g, err := message.GateFrom(func(string) string { return "" }, retry.Default()); g != nil || err != nil {
		t.Errorf("without a gate, %+v is read, error %v", g, err)
	}
}

func TestAGateIsReadAsItIsWritten(t *testing.T) {
	t.Parallel()
	for _, want := range []message.Gate{
		{},
		{FlowControl: message.GateFlowControl{Mode: gate.Adaptive, Key: "credential", MaxWaiting: gate.Unbounded}},
		{
			FlowControl: message.GateFlowControl{Mode: gate.Fixed, Rate: 60, Period: message.TextDuration(90 * time.Second), Burst: 10},
			CircuitBreaker: message.GateBreaker{
				MinimumFailures: 20, FailureRate: 0.5, ProbeInterval: message.TextDuration(1500 * time.Millisecond), RampUp: 2,
			},
		},
		{CircuitBreaker: message.GateBreaker{Disabled: true}},
	} {
		text, err := message.WriteGate(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := message.GateFrom(gateEnvironment(text), retry.Default())
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		settings, key, err := want.Settings(retry.Default())
		if diff := cmp.Diff(&message.GateSetup{Settings: settings, Key: key}, got); diff != "" || err != nil {
			t.Errorf("%s is read as something else (-want +got):\n%s", text, diff)
		}
	}
	text, _ := message.WriteGate(message.Gate{FlowControl: message.GateFlowControl{Mode: gate.Fixed, Rate: 60, Period: message.TextDuration(time.Minute)}})
	if want := `{"flowControl":{"mode":"fixed","rate":60,"period":"1m0s"}}`; text != want {
		t.Errorf("a gate is written as %s, want %s", text, want)
	}
}

func TestSettingsOfAGateThatCannotBeNameAllThatIsWrong(t *testing.T) {
	t.Parallel()
	g := message.Gate{
		FlowControl:    message.GateFlowControl{Mode: "learned", Key: "tenant"},
		CircuitBreaker: message.GateBreaker{FailureRate: 1.5},
	}
	_, _, err := g.Settings(retry.Default())
	for _, want := range []string{
		`Key is "tenant", want one of credential+route, credential, route, upstream`, `Mode is "learned"`, "Breaker.FailureRate is 1.5",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want one with %s", err, want)
		}
	}
}

func TestTheKeyOfAGateIsByCredentialAndRouteUnlessItIsSaid(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]gate.Key{
		"": gate.ByCredential | gate.ByRoute, "credential+route": gate.ByCredential | gate.ByRoute,
		"credential": gate.ByCredential, "route": gate.ByRoute, "upstream": 0,
	} {
		_, key, err := message.Gate{FlowControl: message.GateFlowControl{Key: name}}.Settings(retry.Default())
		if err != nil || key != want {
			t.Errorf("the key %q is %v, error %v, want %v", name, key, err, want)
		}
	}
}

func TestAGateIsAsPatientAsTheRequestsThatWaitTheLongest(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		policy retry.Policy
		want   time.Duration
	}{
		"the default":                {retry.Policy{}, 60 * time.Second},
		"a shorter deadline":         {retry.Policy{Deadline: 20 * time.Second}, 20 * time.Second},
		"a route with a longer one":  {retry.Policy{Deadline: 20 * time.Second, Routes: []retry.Route{{Path: "/reports", Policy: retry.Policy{Deadline: 2 * time.Minute}}}}, 2 * time.Minute},
		"a route with a shorter one": {retry.Policy{Routes: []retry.Route{{Path: "/search", Policy: retry.Policy{Deadline: 5 * time.Second}}}}, 60 * time.Second},
		"less than a second":         {retry.Policy{Deadline: 500 * time.Millisecond}, time.Second},
	} {
		s, _, err := message.Gate{}.Settings(c.policy)
		if got := s.WithDefaults().Patience; err != nil || got != c.want {
			t.Errorf("%s: the patience is %v, error %v, want %v", name, got, err, c.want)
		}
	}
}

func TestAGateThatAsksForNothingIsIdle(t *testing.T) {
	t.Parallel()
	disabled := message.GateBreaker{Disabled: true}
	for _, c := range []struct {
		gate message.Gate
		want bool
	}{
		{message.Gate{}, false},
		{message.Gate{CircuitBreaker: disabled}, true},
		{message.Gate{CircuitBreaker: disabled, FlowControl: message.GateFlowControl{Mode: gate.Off}}, true},
		{message.Gate{CircuitBreaker: disabled, FlowControl: message.GateFlowControl{Mode: gate.Observe}}, false},
	} {
		if got := c.gate.Idle(); got != c.want {
			t.Errorf("%+v is idle: %v, want %v", c.gate, got, c.want)
		}
	}
}

func TestCallersShareAScopeOnlyIfTheyShareALimit(t *testing.T) {
	t.Parallel()
	policy := retry.Policy{Routes: []retry.Route{{Methods: []string{"GET"}, Path: "/orders/search"}, {Path: "/reports"}}}
	orders := func(path, query string, fields ...string) *message.Request {
		r := &message.Request{Method: "GET", Path: path, Query: query, Headers: map[string]string{"x-request": path}}
		for i := 0; i < len(fields); i += 2 {
			r.Headers[fields[i]] = fields[i+1]
		}
		return r
	}
	const both, credential, route = gate.ByCredential | gate.ByRoute, gate.ByCredential, gate.ByRoute
	for name, c := range map[string]struct {
		key      gate.Key
		a, b     *message.Request
		replaced []string
		together bool
	}{
		"two credentials":                         {both, orders("/a", "", "authorization", "Bearer 1"), orders("/a", "", "authorization", "Bearer 2"), nil, false},
		"one credential":                          {both, orders("/a/1", "", "authorization", "Bearer 1"), orders("/a/2", "", "authorization", "Bearer 1"), nil, true},
		"a credential and none":                   {both, orders("/a", "", "x-api-key", "1"), orders("/a", ""), nil, false},
		"a key and an authorization":              {both, orders("/a", "", "x-api-key", "1", "authorization", "2"), orders("/a", "", "x-api-key", "1"), nil, false},
		"two credentials that are replaced":       {both, orders("/a", "", "authorization", "Bearer 1"), orders("/a", "", "authorization", "Bearer 2"), []string{"authorization"}, true},
		"two keys beside one that is replaced":    {both, orders("/a", "", "x-api-key", "1"), orders("/a", "", "x-api-key", "2"), []string{"authorization"}, false},
		"two keys in the query":                   {both, orders("/a", "q=1&api_key=1"), orders("/a", "q=1&api_key=2"), nil, false},
		"two queries with one key":                {both, orders("/a", "q=1&api_key=1"), orders("/a", "api_key=1&q=2"), nil, true},
		"two keys in the query that are replaced": {both, orders("/a", "api_key=1"), orders("/a", "api_key=2"), []string{"?api_key"}, true},
		"two credentials, by route":               {route, orders("/a", "", "authorization", "Bearer 1"), orders("/a", "", "authorization", "Bearer 2"), nil, true},
		"two routes, by credential":               {credential, orders("/a", "", "authorization", "Bearer 1"), orders("/b", "", "authorization", "Bearer 1"), nil, true},
		"two first segments":                      {both, orders("/a/1", ""), orders("/b/1", ""), nil, false},
		"a route of the policy and what is not":   {both, orders("/orders/search", ""), orders("/orders/7", ""), nil, false},
		"one route of the policy":                 {both, orders("/reports/2026", ""), orders("/reports/2027/5", ""), nil, true},
		"all of the upstream":                     {0, orders("/a", "api_key=1"), orders("/b", "", "authorization", "2"), nil, true},
	} {
		a, b := message.GateScope(c.key, policy, c.a, c.replaced), message.GateScope(c.key, policy, c.b, c.replaced)
		if (a == b) != c.together {
			t.Errorf("%s: the scopes are %q and %q", name, a, b)
		}
	}
	other := orders("/orders/search", "")
	other.Method = "POST"
	if got, want := message.GateScope(route, policy, other, nil), message.GateScope(route, policy, orders("/orders/7", ""), nil); got != want {
		t.Errorf("a method that the policy's route does not have is in the scope %q, want that of its first segment, %q", got, want)
	}
}

func TestAScopeTellsNothingOfACredential(t *testing.T) {
	t.Parallel()
	r := &message.Request{Method: "GET", Path: "/orders/7", Query: "token=canary", Headers: map[string]string{"authorization": "Bearer canary"}}
	if got := message.GateScope(gate.DefaultKey, retry.Default(), r, nil); strings.Contains(got, "canary") {
		t.Errorf("the scope is %q", got)
	}
}

func TestTheMetricsOfAGateAreInTheEmbeddedMetricFormat(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 4, 12, 0, 0, 345e6, time.UTC)
	soon := now.Add(time.Minute).UnixMilli()
	quiet := gate.Item{Version: 3, Rate: 20_000, Since: now.UnixMilli() - 1000, ActiveUntil: now.UnixMilli() - 1, Born: 1}
	limited := gate.Item{Version: 3, Rate: 19_500, Since: now.UnixMilli() - 1000, ActiveUntil: soon, Born: 1}
	open := gate.Item{Version: 3, Outage: 1, Probe: now.UnixMilli() + 500, Born: 1}
	closing := gate.Item{Version: 4, Outage: 1, Rate: 5_000, Most: 5_000, Since: now.UnixMilli() - 1000, ActiveUntil: soon, Born: 1}
	for name, c := range map[string]struct {
		waited  time.Duration
		refused bool
		item    gate.Item
		want    map[string]float64
	}{
		"nothing is wrong": {0, false, gate.Item{}, map[string]float64{"CircuitState": 0}},
		"it was over":      {0, false, quiet, map[string]float64{"CircuitState": 0}},
		"a wait":           {1234 * time.Millisecond, false, limited, map[string]float64{"GateWait": 1234, "GateRate": 19.5, "CircuitState": 0}},
		"a refusal":        {0, true, limited, map[string]float64{"GateRefused": 1, "GateRate": 19.5, "CircuitState": 0}},
		"an outage":        {0, true, open, map[string]float64{"GateRefused": 1, "CircuitState": 1}},
		"after an outage":  {time.Minute, false, closing, map[string]float64{"GateWait": 60000, "GateRate": 5, "CircuitState": 0.5}},
	} {
		var line bytes.Buffer
		m := message.MetricSource{Table: "records", Prefix: "orders"}.At(now)
		m.Gate(c.waited, c.refused, c.item)
		slog.New(slog.NewJSONHandler(&line, nil)).LogAttrs(t.Context(), slog.LevelInfo, message.GateText, m.Attributes()...)
		got := logline.MetricsIn(t, line.Bytes())
		if !maps.Equal(got.Values, c.want) || !maps.Equal(got.Of, map[string]string{"TableName": "records", "RecordPrefix": "orders"}) || !got.Time.Equal(now) {
			t.Errorf("%s: the metrics are %+v, want %v: %s", name, got, c.want, &line)
		}
	}
}

func TestTheGateLetsNobodyThroughTooLateToComeToTheUpstream(t *testing.T) {
	t.Parallel()
	deadline := time.Date(2026, 5, 4, 8, 1, 0, 0, time.UTC)
	for _, c := range []struct {
		policy retry.Policy
		want   time.Duration // before the deadline
	}{
		{retry.Default(), 600 * time.Millisecond}, // 500 for the attempt, 100 for the way to it
		{retry.Policy{AttemptTimeout: 200 * time.Millisecond}.WithDefaults(), 300 * time.Millisecond},
		{retry.Policy{Deadline: 40 * time.Millisecond}.WithDefaults(), 30 * time.Millisecond}, // a quarter of so short a time is left to wait in
	} {
		if got := deadline.Sub(message.LatestAtGate(deadline, c.policy)); got != c.want {
			t.Errorf("with attempts of %v in %v, the last moment is %v before the deadline, want %v", c.policy.AttemptTimeout, c.policy.Deadline, got, c.want)
		}
	}
}
