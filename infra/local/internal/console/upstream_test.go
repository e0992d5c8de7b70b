package console_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/console"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/demo"
)

func TestTheDemoUpstreamIsToldAndCanBeChanged(t *testing.T) {
	upstream, err := demo.New(demo.DefaultSettings(), 1)
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, console.Config{Upstream: "http://127.0.0.1:7", Demo: upstream}, nil)
	upstream.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/get", nil))
	s.run("one", input, once) // an attempt, which is not what counts here

	settings := demo.DefaultSettings()
	var got console.Upstream
	s.get("upstream", &got)
	if diff := cmp.Diff(console.Upstream{URL: "http://127.0.0.1:7", Calls: 1, Settings: &settings}, got); diff != "" {
		t.Errorf("the upstream is not what was expected (-want +got):\n%s", diff)
	}

	status, answer := s.ask(http.MethodPut, "upstream", `{"requests":7,"intervalSeconds":0.5,"failureShare":1,"delayMilliseconds":20}`, nil)
	if status != http.StatusOK {
		t.Fatalf("the change is answered with %d: %s", status, answer)
	}
	want := demo.Settings{Requests: 7, IntervalSeconds: 0.5, FailureShare: 1, DelayMilliseconds: 20}
	if upstream.Settings() != want {
		t.Errorf("the settings are %+v, want %+v", upstream.Settings(), want)
	}
	s.get("upstream", &got)
	if *got.Settings != want {
		t.Errorf("the settings that are told are %+v, want %+v", *got.Settings, want)
	}
}

func TestWhatIsSetOfLimitsAndOutagesIsTold(t *testing.T) {
	upstream, err := demo.New(demo.DefaultSettings(), 1)
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, console.Config{Demo: upstream}, nil)
	body := `{"requests":4,"intervalSeconds":2,"by":"key","burst":9,"omitRateLimit":true,"outage":{"answer":"503","seconds":3600,"retryAfterSeconds":5}}`
	if status, answer := s.ask(http.MethodPut, "upstream", body, nil); status != http.StatusOK {
		t.Fatalf("the change is answered with %d: %s", status, answer)
	}
	want := demo.Settings{Requests: 4, IntervalSeconds: 2, By: demo.ByKey, Burst: 9, OmitRateLimit: true,
		Outage: &demo.Outage{Answer: demo.Unavailable, Seconds: 3600, RetryAfterSeconds: 5}}
	var got console.Upstream
	s.get("upstream", &got)
	if diff := cmp.Diff(&want, got.Settings); diff != "" {
		t.Errorf("the settings that are told are not those that were set (-want +got):\n%s", diff)
	}
}

func TestSettingsThatCannotBeAreRefused(t *testing.T) {
	upstream, err := demo.New(demo.DefaultSettings(), 1)
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, console.Config{Demo: upstream}, nil)
	for body, text := range map[string]string{
		`{"requests":0,"intervalSeconds":1}`:                             "requests",
		`{"requests":1,"intervalSeconds":0}`:                             "intervalSeconds",
		`{"requests":1,"intervalSeconds":1,"failureShare":1.5}`:          "failureShare",
		`{"requests":1,"intervalSeconds":1,"delayMilliseconds":-1}`:      "delayMilliseconds",
		`{"requests":1,"intervalSeconds":1,"by":"user"}`:                 "by is",
		`{"requests":1,"intervalSeconds":1,"outage":{"answer":"slow"}}`:  "outage.answer",
		`{"requests":1,"intervalSeconds":1,"outage":{"end":1}}`:          "end",
		`{"requests":1,"intervalSeconds":1,"delay":1}`:                   "delay",
		`{"requests":null,"intervalSeconds":null,"failureShare":"most"}`: "failureShare",
		`{"requests":1`: "EOF",
		`requests=1`:    "invalid",
	} {
		s.refusesWith(http.StatusBadRequest, http.MethodPut, "upstream", body, nil, text)
	}
	if upstream.Settings() != demo.DefaultSettings() {
		t.Errorf("the settings were changed to %+v", upstream.Settings())
	}
}

func TestTheCallsOfAnotherUpstreamAreItsAttempts(t *testing.T) {
	s := open(t, console.Config{Upstream: "https://api.example.com"}, nil)
	s.run("one", input, limited, answered)
	s.run("two", input, once)
	var got console.Upstream
	s.get("upstream", &got)
	if diff := cmp.Diff(console.Upstream{URL: "https://api.example.com", Calls: 3}, got); diff != "" {
		t.Errorf("the upstream is not what was expected (-want +got):\n%s", diff)
	}
	s.refusesWith(http.StatusNotFound, http.MethodPut, "upstream", `{"requests":1,"intervalSeconds":1}`, nil, "not the demo")
}
