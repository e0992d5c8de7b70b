package handler

import (
	"testing"
	"time"
)

func TestPreferencesAreReadAsFarAsTheyAreUnderstood(t *testing.T) {
	for field, want := range map[string]preferences{
		"":                                  {},
		"wait=10":                           {wait: 10 * time.Second},
		"Wait=10":                           {wait: 10 * time.Second},
		" wait = 10 ":                       {wait: 10 * time.Second},
		`wait="10"`:                         {wait: 10 * time.Second},
		"wait=10;foo=bar":                   {wait: 10 * time.Second},
		"attempts=2":                        {attempts: 2},
		"wait=10, attempts=2":               {wait: 10 * time.Second, attempts: 2},
		"respond-async, wait=10":            {wait: 10 * time.Second},
		"return=minimal; x=1,wait=3":        {wait: 3 * time.Second},
		"wait=1, wait=2":                    {wait: time.Second},
		"attempts=1,attempts=5":             {attempts: 1},
		"wait":                              {},
		"wait=":                             {},
		"wait=0":                            {},
		"wait=-1":                           {},
		"wait=1.5":                          {},
		"wait=ten":                          {},
		"wait=10s":                          {},
		"wait=1000000":                      {wait: 1_000_000 * time.Second},
		"wait=1000001":                      {},
		"wait=99999999999999999999":         {},
		"attempts=99999999999999999999":     {},
		"attempts=-1":                       {},
		"waiting=10":                        {},
		"=10":                               {},
		",,;,=,":                            {},
		"wait=soon, wait=5":                 {wait: 5 * time.Second},
		"handling=lenient, attempts=2;wait": {attempts: 2},
	} {
		if got := parsePreferences(field); got != want {
			t.Errorf("Prefer: %s is read as %+v, want %+v", field, got, want)
		}
	}
}

func FuzzPreferencesAreWithinBounds(f *testing.F) {
	for _, seed := range []string{"wait=10", `wait="5";a=b, attempts=2`, "respond-async,,wait=", "wait=-9223372036854775808"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, field string) {
		p := parsePreferences(field)
		if p.wait < 0 || p.wait > maxPreferred*time.Second || p.wait%time.Second != 0 || p.attempts < 0 || p.attempts > maxPreferred {
			t.Fatalf("Prefer: %q is read as %+v", field, p)
		}
	})
}
