package cloudwatchlogs_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/cloudwatchlogs"
)

func TestAFilterIsToldOfTheLinesThatComeToItsGroupAndMatch(t *testing.T) {
	s := cloudwatchlogs.New(cloudwatchlogs.Config{})
	s.Put("orders", "a", noon, `{"type":"Failed","before":true}`)
	var told []string
	note := func(name string) func(time.Time, string) {
		return func(at time.Time, line string) { told = append(told, name+" "+at.Format("15:04")+" "+line) }
	}
	for name, pattern := range map[string]string{"failed": `{ $.type = "Failed" }`, "all": ""} {
		if err := s.Filter("orders", pattern, note(name)); err != nil {
			t.Fatal(err)
		}
	}
	s.Put("orders", "a", noon, `{"type":"Failed"}`)
	s.Put("payments", "a", noon, `{"type":"Failed"}`)
	s.Put("orders", "b", noon.Add(time.Minute), `{"type":"Done"}`)
	for line, times := range map[string]int{`failed 12:00 {"type":"Failed"}`: 1, `all 12:00 {"type":"Failed"}`: 1, `all 12:01 {"type":"Done"}`: 1, "": 3} {
		n := 0
		for _, one := range told {
			if strings.HasPrefix(one, line) {
				n++
			}
		}
		if n != times {
			t.Errorf("%q was told %d times, want %d, of %q", line, n, times, told)
		}
	}
}

func TestAFilterWhosePatternIsNotKnownIsRefused(t *testing.T) {
	err := cloudwatchlogs.New(cloudwatchlogs.Config{}).Filter("orders", `[ip, user]`, nil)
	var refused *cloudwatchlogs.Error
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), "[ip, user]") {
		t.Errorf("the error is %v, want it to quote the pattern", err)
	}
}
