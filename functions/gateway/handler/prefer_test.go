package handler

import (
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
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
		`x="a, wait=3"`:                     {},
		`x="\", wait=3", wait=4`:            {wait: 4 * time.Second},
	} {
		if got, _ := parsePreferences(field, message.Forwarding{}); got != want {
			t.Errorf("Prefer: %s is read as %+v, want %+v", field, got, want)
		}
	}
}

func FuzzPreferencesAreWithinBounds(f *testing.F) {
	for _, seed := range []string{"wait=10", `wait="5";a=b, attempts=2`, "respond-async,,wait=", "wait=-9223372036854775808"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, field string) {
		p, _ := parsePreferences(field, message.Forwarding{})
		if p.wait < 0 || p.wait > maxPreferred*time.Second || p.wait%time.Second != 0 || p.attempts < 0 || p.attempts > maxPreferred {
			t.Fatalf("Prefer: %q is read as %+v", field, p)
		}
	})
}

// RFC 7240 section 2: a proxy forwards preferences; those of the gateway's own are not the upstream's.
func TestPreferencesThatAreNotTheGatewaysAreLeftForTheUpstream(t *testing.T) {
	for field, want := range map[string]string{
		"":                               "",
		"wait=10, attempts=2":            "",
		"return=representation, wait=20": "return=representation",
		"handling=lenient":               "handling=lenient",
		"respond-async, wait=10":         "respond-async",
		"Wait=ten, resolution=merge-duplicates;x=1":    "resolution=merge-duplicates;x=1",
		`odata.include-annotations="*", x="a, wait=3"`: `odata.include-annotations="*", x="a, wait=3"`,
		"waiting=1,count=exact,,":                      "waiting=1, count=exact",
	} {
		if _, got := parsePreferences(field, message.Forwarding{}); got != want {
			t.Errorf("of Prefer: %s the upstream gets %s, want %s", field, got, want)
		}
	}
}
