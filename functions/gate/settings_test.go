package gate_test

import (
	"strings"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/gate"
)

func TestSettingsThatAreLeftOutAreValid(t *testing.T) {
	t.Parallel()
	if err := (gate.Settings{}).Validate(); err != nil {
		t.Error(err)
	}
	s := gate.Settings{}.WithDefaults()
	if s.Mode != gate.Off || s.MaxWaiting != 500 || s.Patience != time.Minute || s.Breaker.MinimumFailures != 10 || s.Breaker.FailureRate != 0.8 ||
		s.Breaker.ProbeInterval != time.Second || s.Breaker.RampUp != 1.5 || s.Breaker.Disabled {
		t.Errorf("the defaults are %+v", s)
	}
}

func TestAllThatIsWrongWithSettingsIsInOneError(t *testing.T) {
	t.Parallel()
	err := gate.Settings{
		Mode: gate.Fixed, Period: time.Millisecond, Burst: -1, MaxWaiting: -2, Patience: time.Millisecond,
		Breaker: gate.Breaker{MinimumFailures: -1, FailureRate: 1.5, ProbeInterval: time.Millisecond, RampUp: 1},
	}.Validate()
	for _, want := range []string{
		"Rate is 0", "Period is 1ms", "Burst is -1", "MaxWaiting is -2", "Patience is 1ms", "MinimumFailures is -1", "FailureRate is 1.5",
		"ProbeInterval is 1ms", "RampUp is 1,",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q: %v", want, err)
		}
	}
	for name, s := range map[string]gate.Settings{
		`Mode is "fast"`:   {Mode: "fast"},
		"only Mode":        {Mode: gate.Adaptive, Rate: 5},
		"200000 calls per": {Mode: gate.Fixed, Rate: 200_000},
		"1.157":            {Mode: gate.Fixed, Rate: 1, Period: 24 * time.Hour},
	} {
		if err := s.Validate(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("the error does not say %q: %v", name, err)
		}
	}
	if _, err := gate.New(&gate.MemoryStore{}, gate.Settings{Mode: "fast"}); err == nil {
		t.Error("New takes settings that are not valid")
	}
	if _, err := gate.New(nil, gate.Settings{}); err == nil {
		t.Error("New takes no store")
	}
}
