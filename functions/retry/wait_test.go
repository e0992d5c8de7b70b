package retry_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// read says what is read from the fields of an answer that is received at noon; a dash if there is nothing to read.
func read(fields ...string) string {
	header := http.Header{}
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		header.Add(name, value)
	}
	s := retry.ReadSignals(header, noon, true)
	if s.Field == "" {
		return "-"
	}
	return s.Floor.String()
}

// What is expected here is what was read before there were lists, names of zones and units in words. It must not change.
func TestFormsOfRetryAfterThatWereAlwaysUnderstoodAreReadAsTheyWere(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"0": "0s", "1": "1s", "120": "2m0s", "007": "7s", " 30 ": "30s", "1.5": "1.5s", ".5": "500ms", "30.": "30s", "0.0000000001": "1ns",
		"2678400": "744h0m0s", "2678401": "-", "99999999": "-", "999999999": "-", "1000000000": "-",
		"1795262399": "0s", "1795262430": "30s", "1795262400.5": "500ms", "1795262430000": "30s", "1795262430000.5": "30.001s",

		"Sat, 21 Nov 2026 12:01:30 GMT": "1m30s", "Sat, 21 Nov 2026 11:59:00 GMT": "0s", "Mon, 21 Nov 2026 12:01:30 GMT": "1m30s",
		"Thu, 21 Nov 2126 12:00:00 GMT": "-", "Saturday, 21-Nov-26 12:01:30 GMT": "1m30s", "Saturday, 21-Nov-26 12:01:30 UTC": "1m30s",
		"Thursday, 21-Nov-69 12:01:30 GMT": "0s", "Sat Nov 21 12:01:30 2026": "1m30s", "Wed Dec  2 12:00:00 2026": "264h0m0s",
		"Sat, 21 Nov 2026 12:01:30 +0000": "1m30s", "Sat, 21 Nov 2026 13:01:30 +0100": "1m30s", "Sat, 21 Nov 2026 07:01:30 -0500": "1m30s",
		"2026-11-21T12:01:30Z": "1m30s", "2026-11-21T12:01:30.25Z": "1m30.25s", "2026-11-21T13:01:30+01:00": "1m30s",
		"2026-11-21T12:01Z": "1m0s", "2026-11-21T12:01:30": "1m30s",
		"Sat Nov 21 2026 13:00:02 GMT+0100 (Central European Standard Time)": "2s", "Sat Nov 21 2026 12:00:02 GMT+0000": "2s",

		"6m0s": "6m0s", "820ms": "820ms", "1h": "1h0m0s", "1h30m": "1h30m0s", "1.5s": "1.5s", "30s": "30s", "+30s": "30s", "1us": "1µs",
		"24h": "24h0m0s", "800h": "-", "1h0m0.5s": "1h0m0.5s",

		"": "-", "soon": "-", "-1": "-", "-30s": "-", "1e9": "-", "0x1f": "-", "Inf": "-", "NaN": "-", "1.5.2": "-", "30 30": "-", "1d": "-",
		"12:00:30": "-", "2026-11-21": "-",
	} {
		for _, field := range []string{"Retry-After", "X-RateLimit-Reset"} {
			if got := read(field + ": " + value); got != want {
				t.Errorf("%s: %s is read as %s, and was read as %s", field, value, got, want)
			}
		}
	}
}

// Attack L1.
func TestFormsOfRetryAfterThatServersSendAreUnderstood(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"+30": "30s", `"30"`: "30s", "30;": "30s", "30; comment=maintenance": "30s", `"30";q=1`: "30s", `" +30 "`: "30s", "+-30": "-", `""`: "-", ";30": "-",

		"30 seconds": "30s", "30 second": "30s", "30 sec": "30s", "30 secs": "30s", "30 s": "30s", "30sec": "30s", "30 Seconds": "30s", "1.5 seconds": "1.5s",
		"2 minutes": "2m0s", "1 minute": "1m0s", "5 min": "5m0s", "5mins": "5m0s", "2 hours": "2h0m0s", "1 hour": "1h0m0s", "1 hr": "1h0m0s",
		"PT30S": "30s", "PT1H30M": "1h30m0s", "PT1.5S": "1.5s", "PT": "-", "PT-30S": "-", "P1D": "-", "PTsoon": "-",
		"250 ms": "250ms", "250 milliseconds": "250ms", "+30 seconds;": "30s",
		"30 parsecs": "-", "seconds": "-", "-30 seconds": "-", "30 seconds ago": "-", "1795262430 seconds": "-",

		"Sat, 21 Nov 2026 12:01:30 UTC": "1m30s", "Sat, 21 Nov 2026 12:01:30 UT": "1m30s", "Sat, 21 Nov 2026 12:01:30 Z": "1m30s",
		"21 Nov 2026 12:01:30 GMT": "1m30s", "Sat, 21 Nov 2026 12:01:30": "1m30s", "21 Nov 2026 12:01:30": "1m30s", "Wed, 2 Dec 2026 12:00:00 GMT": "264h0m0s",
		"21 Nov 2026 13:01:30 +0100": "1m30s", `"Sat, 21 Nov 2026 12:01:30 GMT"`: "1m30s", "Sat, 21 Nov 2026 12:01:30  GMT": "1m30s",
		"Sat, 21 Nov 2026 07:01:30 EST": "1m30s", "Sat, 21 Nov 2026 08:01:30 EDT": "1m30s", "Sat, 21 Nov 2026 06:01:30 CST": "1m30s",
		"Sat, 21 Nov 2026 07:01:30 CDT": "1m30s", "Sat, 21 Nov 2026 05:01:30 MST": "1m30s", "Sat, 21 Nov 2026 06:01:30 MDT": "1m30s",
		"Sat, 21 Nov 2026 04:01:30 PST": "1m30s", "Sat, 21 Nov 2026 05:01:30 PDT": "1m30s",
		"Saturday, 21-Nov-26 04:01:30 PST": "1m30s", "Saturday, 21-Nov-26 07:01:30 EST": "1m30s", "21-Nov-26 12:01:30 GMT": "1m30s",
		"Saturday, 21-Nov-26 12:01:30": "1m30s", "Saturday, 21-Nov-26 13:01:30 +0100": "1m30s",
		"2026-11-21 12:01:30": "1m30s", "2026-11-21 12:01:30Z": "1m30s", "2026-11-21 12:01:30 UTC": "1m30s", "2026-11-21 13:01:30+01:00": "1m30s",
		"2026-11-21 12:01:30.25": "1m30.25s",

		// Nobody knows which of the world's zones of that name is meant, so nothing is made of it, least of all the past.
		"Saturday, 21-Nov-26 13:01:30 CET": "-", "Saturday, 21-Nov-26 03:01:30 AKST": "-", "Sat, 21 Nov 2026 12:01:30 IST": "-",
	} {
		if got := read("Retry-After: " + value); got != want {
			t.Errorf("Retry-After: %s is read as %s, want %s", value, got, want)
		}
	}
}

func TestTheLongestOfSeveralWaitsCounts(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"3, 3": "3s", "5, 7": "7s", "7,5": "7s", "30,": "30s", ", 30": "30s", "3, soon": "3s", "soon, later": "-", ",": "-", `"5", "7"`: "7s",
		"5;a=b, 7;c=d": "7s", "2 seconds, 1 minute": "1m0s",
		"Sat, 21 Nov 2026 12:01:30 GMT, Sat, 21 Nov 2026 12:02:30 GMT": "2m30s",
		"Sat, 21 Nov 2026 12:02:30 GMT, 120":                           "2m30s",
		"200, Sat, 21 Nov 2026 12:02:30 GMT":                           "3m20s",
		"3, Sat, 21 Nov 2026 11:00:00 GMT":                             "3s",
		"Saturday, 21-Nov-26 12:01:30 GMT, 21 Nov 2026 12:00:20 GMT":   "1m30s",
	} {
		if got := read("Retry-After: " + value); got != want {
			t.Errorf("Retry-After: %s is read as %s, want %s", value, got, want)
		}
	}
	if got := read("Retry-After: 5, 9", "Retry-After: 7"); got != "9s" {
		t.Errorf("two fields, one of them a list, are read as %s, want 9s", got)
	}
}

func TestFieldsThatStandForRetryAfterAreReadLikeIt(t *testing.T) {
	t.Parallel()
	for _, field := range []string{"X-Retry-After", "X-RateLimit-Retry-After"} {
		for value, want := range map[string]string{
			"30": "30s", "3, 5": "5s", "Sat, 21 Nov 2026 12:01:30 GMT": "1m30s", "1795262445": "45s", "20 seconds": "20s", "soon": "-",
		} {
			if got := read(field + ": " + value); got != want {
				t.Errorf("%s: %s is read as %s, want %s", field, value, got, want)
			}
		}
		s := retry.ReadSignals(http.Header{http.CanonicalHeaderKey(field): {"30"}}, noon, false)
		if s.Field != field || !s.RetryAfter {
			t.Errorf("%s is read as %q, a Retry-After: %v", field, s.Field, s.RetryAfter)
		}
	}
	if got := read("Retry-After: 5", "X-Retry-After: 9", "X-RateLimit-Retry-After: 7"); got != "9s" {
		t.Errorf("three of them are read as %s, want the longest, 9s", got)
	}
}

// Frameworks send X-RateLimit-Retry-After with every answer. A 404 is not one to repeat for it.
func TestARetryAfterThatComesWithEveryAnswerIsOneOnlyWhereThereIsALimit(t *testing.T) {
	t.Parallel()
	const field = "X-RateLimit-Retry-After: 20"
	c := get(t, retry.Policy{Scope: retry.PerAccount})
	wantAgain(t, c.answers(429, field), 20*time.Second)
	wantAgain(t, get(t, retry.Policy{Scope: retry.PerAccount}).answers(429, field, "X-RateLimit-Remaining: 0"), 20*time.Second)
	wantAgain(t, get(t, retry.Policy{Scope: retry.PerAccount}).answers(429, field, "X-RateLimit-Remaining: 3"), 20*time.Second)
	wantAgain(t, get(t, retry.Policy{Scope: retry.PerAccount}).answers(403, field, "X-RateLimit-Remaining: 0"), 20*time.Second)
	wantAgain(t, get(t, retry.Policy{}).answers(503, field, "X-RateLimit-Remaining: 0"), 20*time.Second)
	wantAgain(t, get(t, retry.Policy{}).answers(503, field, "X-RateLimit-Remaining: 42"), 0)
	wantFailed(t, post(t, retry.Policy{}).answers(503, field, "X-RateLimit-Remaining: 42"), retry.UnsafeToRepeat, time.Millisecond)
	for status, remaining := range map[int]string{403: "42", 404: "42", 422: "0"} {
		if d := get(t, retry.Policy{}).answers(status, field, "X-RateLimit-Remaining: "+remaining); d.Outcome != retry.Succeeded {
			t.Errorf("a %d with %s requests left is %s (%s)", status, remaining, d.Outcome, d.Why)
		}
	}
}

// Attack L2. All answers are received at noon.
func TestTimesAreReadByTheClockOfWhoeverToldThem(t *testing.T) {
	t.Parallel()
	const seconds, date = "Retry-After: 3600", "Retry-After: Sat, 21 Nov 2026 12:10:00 GMT"
	for _, c := range []struct {
		what   string
		fields []string
		want   string
	}{
		{"no Date", []string{date}, "10m0s"},
		{"a server five minutes behind", []string{date, "Date: Sat, 21 Nov 2026 11:55:00 GMT"}, "15m0s"},
		{"a server a day behind", []string{"Date: Fri, 20 Nov 2026 12:00:00 GMT", "Retry-After: Fri, 20 Nov 2026 12:01:00 GMT"}, "1m0s"},
		{"a server a day ahead", []string{"Date: Sun, 22 Nov 2026 12:00:00 GMT", "Retry-After: Sun, 22 Nov 2026 12:01:00 GMT"}, "1m0s"},
		{"a Date of a day ago", []string{date, "Date: Fri, 20 Nov 2026 12:00:00 GMT"}, "24h10m0s"},
		{"a Date of a day and a second ago", []string{date, "Date: Fri, 20 Nov 2026 11:59:59 GMT"}, "10m0s"},
		{"a Date in UTC", []string{date, "Date: Sat, 21 Nov 2026 11:55:00 UTC"}, "15m0s"},

		// More than a day, and the Date alone may be wrong, or the whole clock.
		{"a Date of 1970", []string{date, "Date: Thu, 01 Jan 1970 00:00:00 GMT"}, "10m0s"},
		{"a clock that began in 1970", []string{"Date: Thu, 01 Jan 1970 00:00:00 GMT", "Retry-After: Thu, 01 Jan 1970 00:01:00 GMT"}, "1m0s"},
		{"a Date of 1970, and a time that has passed", []string{"Date: Thu, 01 Jan 1970 00:00:00 GMT", "Retry-After: Sat, 21 Nov 2026 11:59:00 GMT"}, "0s"},
		{"a Date of 2100", []string{date, "Date: Fri, 01 Jan 2100 00:00:00 GMT"}, "10m0s"},
		{"a clock in 2100", []string{"Date: Fri, 01 Jan 2100 00:00:00 GMT", "Retry-After: Fri, 01 Jan 2100 00:01:00 GMT"}, "1m0s"},
		{"a clock in 2100, and a time that has passed by it", []string{"Date: Fri, 01 Jan 2100 00:01:00 GMT", "Retry-After: Fri, 01 Jan 2100 00:00:00 GMT"}, "0s"},
		{"a Date of three days ago", []string{date, "Date: Wed, 18 Nov 2026 12:00:00 GMT"}, "10m0s"},
		{"a clock three days behind", []string{"Date: Wed, 18 Nov 2026 12:00:00 GMT", "Retry-After: Wed, 18 Nov 2026 12:01:00 GMT"}, "1m0s"},
		{"a clock three days ahead", []string{"Date: Tue, 24 Nov 2026 12:00:00 GMT", "Retry-After: Tue, 24 Nov 2026 12:01:00 GMT"}, "1m0s"},
		{"an epoch beside a Date of 1970", []string{"Retry-After: 1795263000", "Date: Thu, 01 Jan 1970 00:00:00 GMT"}, "10m0s"},
		{"seconds beside a Date of 1970", []string{seconds, "Date: Thu, 01 Jan 1970 00:00:00 GMT"}, "1h0m0s"},

		{"an age", []string{seconds, "Age: 3000"}, "10m0s"},
		{"an age and the Date that the cache has kept", []string{seconds, "Age: 3000", "Date: Sat, 21 Nov 2026 11:10:00 GMT"}, "10m0s"},
		{"a date, an age and the Date that the cache has kept", []string{date, "Age: 3000", "Date: Sat, 21 Nov 2026 11:10:00 GMT"}, "10m0s"},
		{"a date, an age and the Date of a clock a minute behind", []string{date, "Age: 3000", "Date: Sat, 21 Nov 2026 11:09:00 GMT"}, "11m0s"},
		{"a date, an age and a Date that the cache has set", []string{date, "Age: 3000", "Date: Sat, 21 Nov 2026 12:00:00 GMT"}, "10m0s"},
		{"a date and an age without a Date", []string{date, "Age: 3000"}, "10m0s"},
		{"a date, two days in a cache", []string{date, "Age: 172800", "Date: Thu, 19 Nov 2026 12:00:00 GMT"}, "10m0s"},
		{"older than the wait", []string{seconds, "Age: 3601"}, "0s"},
		{"no age", []string{seconds, "Age: 0"}, "1h0m0s"},
		{"a list of ages", []string{seconds, "Age: 3000, 0"}, "10m0s"},
		{"an age in milliseconds of a wait", []string{"Retry-After-Ms: 5000", "Age: 2"}, "3s"},
		{"an age of a quota", []string{"RateLimit: \"default\";r=0;t=30", "Age: 20"}, "10s"},
		{"an age of a quota in seconds", []string{"X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 30", "Age: 20"}, "10s"},
		{"an age of a quota in the old form", []string{"RateLimit: limit=5, remaining=0, reset=30", "Age: 20"}, "10s"},
		{"an age of a duration", []string{"Retry-After: 6m0s", "Age: 60"}, "5m0s"},
		{"an age of a wait in words", []string{"Retry-After: 2 minutes", "Age: 60"}, "1m0s"},

		{"a negative age", []string{seconds, "Age: -3000"}, "1h0m0s"},
		{"an age with a fraction", []string{seconds, "Age: 3000.5"}, "1h0m0s"},
		{"an age in words", []string{seconds, "Age: old"}, "1h0m0s"},
		{"an age of an epoch", []string{seconds, "Age: 1795262400"}, "1h0m0s"},
		{"an age beyond all numbers", []string{seconds, "Age: 99999999999999999999"}, "1h0m0s"},
		{"an age of a month and a second", []string{seconds, "Age: 2678401"}, "1h0m0s"},
	} {
		if got := read(c.fields...); got != c.want {
			t.Errorf("%s: %q is read as %s, want %s", c.what, c.fields, got, c.want)
		}
	}
}

// A form is a way to write a wait of whole seconds.
type form struct {
	name  string
	write func(wait time.Duration) string
}

// at is the form of a time in a zone that is so many hours east of UTC.
func at(layout, zone string, hours int) form {
	return form{layout + " " + zone, func(wait time.Duration) string {
		return noon.Add(wait).In(time.FixedZone(zone, hours*60*60)).Format(layout)
	}}
}

func TestAWaitIsTheSameInEveryForm(t *testing.T) {
	t.Parallel()
	forms := []form{
		{"seconds", func(wait time.Duration) string { return fmt.Sprint(int(wait.Seconds())) }},
		{"words", func(wait time.Duration) string { return fmt.Sprintf(`"+%d seconds"`, int(wait.Seconds())) }},
		{"a duration", time.Duration.String},
		{"an epoch", func(wait time.Duration) string { return fmt.Sprint(noon.Add(wait).Unix()) }},
		{"an epoch in milliseconds", func(wait time.Duration) string { return fmt.Sprint(noon.Add(wait).UnixMilli()) }},
		at(http.TimeFormat, "GMT", 0), at(time.RFC1123, "UTC", 0), at(time.RFC850, "GMT", 0), at(time.ANSIC, "", 0), at(time.DateTime, "", 0),
		at(time.RFC850, "EST", -5), at("2 Jan 2006 15:04:05 MST", "MDT", -6), at(time.RFC1123Z, "CET", 1), at(time.RFC3339, "IST", 5),
	}
	rapid.Check(t, func(t *rapid.T) {
		var list []string
		var longest time.Duration
		for range rapid.IntRange(1, 4).Draw(t, "values") {
			wait := time.Duration(rapid.IntRange(0, 30*24*60*60).Draw(t, "seconds")) * time.Second
			list = append(list, forms[rapid.IntRange(0, len(forms)-1).Draw(t, "form")].write(wait))
			longest = max(longest, wait)
		}
		field := "Retry-After: " + strings.Join(list, ", ")
		if got := read(field); got != longest.String() {
			t.Fatalf("%s is read as %s, want %s", field, got, longest)
		}
	})
}
