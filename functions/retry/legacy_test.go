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

// correction returns why an answer is read otherwise than by the reader that knew a list of fields, and empty if it must
// be read as it was.
func correction(header http.Header) string {
	for name := range header {
		switch {
		case strings.HasSuffix(name, "-Ratelimit-Retry"):
			return "another name of Retry-After: it was not known"
		case strings.Contains(name, "-Limit-24hour-"):
			return "another quota that is used up, for longer: it was not known"
		}
	}
	for _, pair := range [][2]string{{"Remaining-Requests", "Requests-Reset"}, {"Requests-Remaining", "Reset-Requests"}} {
		if header.Get("X-RateLimit-"+pair[0]) != "" && header.Get("X-RateLimit-"+pair[1]) != "" {
			return "the same words in another order: they were two quotas"
		}
	}
	return ""
}

// sameAsBefore says in what an answer is read otherwise than it was.
func sameAsBefore(header http.Header, limited bool) string {
	was, is := retry.LegacySignals(header, noon, limited), retry.ReadSignals(header, noon, limited)
	switch {
	case was.Field != "" && (is.Field == "" || is.Floor != was.Floor || is.Doubtful):
		return fmt.Sprintf("the floor was %v (%s), and is %v (%s, doubtful: %v)", was.Floor, was.Field, is.Floor, is.Field, is.Doubtful)
	case was.Field != "" && is.RetryAfter != was.RetryAfter:
		return fmt.Sprintf("a Retry-After: it was %v, and is %v", was.RetryAfter, is.RetryAfter)
	case was.Exhausted && !is.Exhausted:
		return "the quota was used up"
	case was.Advice != is.Advice || was.AdviceField != is.AdviceField:
		return "the advice was another one"
	case !limited && is.Doubtful:
		return "an answer that is no rate limit has become doubtful"
	}
	return ""
}

// What the tables of before the grammar say is read as it was, also where the answer is not what a row says it is.
func TestWhatWasReadRightlyIsReadAsItWas(t *testing.T) {
	t.Parallel()
	for _, row := range signalRows(t) {
		for _, limited := range []bool{true, false} {
			difference := sameAsBefore(row.header, limited)
			if difference != "" && correction(row.header) == "" {
				t.Errorf("%s, a rate limit: %v: %s", row.what, limited, difference)
			}
		}
	}
}

// knownNames are the fields of the list that was.
var knownNames = []string{
	"Retry-After", "X-Retry-After", "X-RateLimit-Retry-After", "Retry-After-Ms", "X-Ms-Retry-After-Ms", "RateLimit", "RateLimit-Policy",
	"RateLimit-Remaining", "RateLimit-Reset", "X-RateLimit-Remaining", "X-RateLimit-Reset-After", "X-RateLimit-Reset",
	"X-Rate-Limit-Remaining", "X-Rate-Limit-Reset", "X-Sib-RateLimit-Remaining", "X-Sib-RateLimit-Reset",
	"X-RateLimit-Requests-Remaining", "X-RateLimit-Requests-Reset", "X-RateLimit-Remaining-Requests", "X-RateLimit-Reset-Requests",
	"X-RateLimit-Remaining-Tokens", "X-RateLimit-Reset-Tokens", "Anthropic-RateLimit-Requests-Remaining", "Anthropic-RateLimit-Requests-Reset",
	"Anthropic-RateLimit-Tokens-Remaining", "Anthropic-RateLimit-Tokens-Reset", "Anthropic-RateLimit-Input-Tokens-Remaining",
	"Anthropic-RateLimit-Input-Tokens-Reset", "Anthropic-RateLimit-Output-Tokens-Remaining", "Anthropic-RateLimit-Output-Tokens-Reset",
	"Date", "Age", "Stripe-Should-Retry", "X-Should-Retry",
}

// knownValue draws a well-formed value of a field.
func knownValue(t *rapid.T, name string) string {
	seconds := rapid.IntRange(0, 3000).Draw(t, "seconds")
	moment := noon.Add(time.Duration(seconds) * time.Second)
	switch {
	case name == "RateLimit":
		return rapid.SampledFrom([]string{
			fmt.Sprintf(`"default";r=0;t=%d`, seconds), fmt.Sprintf(`"default";r=5;t=%d`, seconds), `"default";r=0`,
			fmt.Sprintf(`limit=100, remaining=0, reset=%d`, seconds), fmt.Sprintf(`limit=100, remaining=5, reset=%d`, seconds),
		}).Draw(t, "value")
	case name == "RateLimit-Policy":
		return fmt.Sprintf(`"default";q=100;w=%d`, seconds)
	case name == "Date":
		return noon.Add(time.Duration(rapid.IntRange(-3600, 3600).Draw(t, "skew")) * time.Second).Format(http.TimeFormat)
	case name == "Age":
		return fmt.Sprint(rapid.IntRange(0, 100).Draw(t, "age"))
	case strings.HasSuffix(name, "-Retry"):
		return rapid.SampledFrom([]string{"true", "false"}).Draw(t, "advice")
	case strings.Contains(name, "Remaining"):
		return rapid.SampledFrom([]string{"0", "0", "0.0", "1", "5000", "none"}).Draw(t, "remaining")
	case strings.HasSuffix(name, "Ms"):
		return fmt.Sprint(seconds)
	}
	return rapid.SampledFrom([]string{
		fmt.Sprint(seconds), fmt.Sprintf("%d.5", seconds), moment.Format(http.TimeFormat), moment.Format(time.RFC3339), fmt.Sprint(moment.Unix()),
		fmt.Sprint(moment.UnixMilli()), (time.Duration(seconds) * time.Second).String(), fmt.Sprintf("%d seconds", seconds), "soon",
	}).Draw(t, "wait")
}

func TestAnswersOfFieldsThatWereKnownAreReadAsTheyWere(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		header := http.Header{}
		for range rapid.IntRange(1, 10).Draw(t, "fields") {
			name := rapid.SampledFrom(knownNames).Draw(t, "name")
			header.Set(name, knownValue(t, name))
		}
		for _, limited := range []bool{true, false} {
			if difference := sameAsBefore(header, limited); difference != "" && correction(header) == "" {
				t.Fatalf("%v, a rate limit: %v: %s", header, limited, difference)
			}
		}
	})
}
