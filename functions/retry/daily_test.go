package retry_test

import (
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

func TestAQuotaForTheDayThatDoesNotSayWhenItIsRenewedCostsOneCall(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		status int
		fields []string
		ends   bool
		wait   time.Duration
	}{
		"the day":                         {429, []string{"X-RateLimit-Remaining-Day", "0"}, true, 12 * time.Hour},
		"the day, in another word":        {403, []string{"X-Daily-Quota-Remaining", "0"}, true, 12 * time.Hour},
		"the month":                       {429, []string{"X-RateLimit-Remaining-Month", "0"}, true, 12 * time.Hour},
		"the day, with its end":           {429, []string{"X-RateLimit-Remaining-Day", "0", "X-RateLimit-Reset-Day", "5"}, false, 5 * time.Second},
		"the day, with a Retry-After":     {429, []string{"X-RateLimit-Remaining-Day", "0", "Retry-After", "5"}, false, 5 * time.Second},
		"the day, of which some remains":  {429, []string{"X-RateLimit-Remaining-Day", "7"}, false, 0},
		"the minute":                      {429, []string{"X-RateLimit-Remaining-Minute", "0"}, false, time.Minute},
		"the day, after a server error":   {500, []string{"X-RateLimit-Remaining-Day", "0"}, false, 0},
		"a day and a second that is told": {429, []string{"X-RateLimit-Remaining-Day", "3", "X-RateLimit-Remaining-Second", "0"}, false, time.Second},
	} {
		d := retry.Policy{Scope: retry.PerAccount}.Next(getOrders, nil, answered(c.status, "", c.fields...), lowest)
		if ends := d.Outcome == retry.Failed; ends != c.ends {
			t.Errorf("%s: %s (%s)", what, d.Outcome, d.Why)
		}
		got := d.RetryAfter
		if !c.ends {
			got = d.NotBefore.Sub(noon)
			if d.NotBefore.IsZero() {
				got = 0
			}
		}
		if got != c.wait {
			t.Errorf("%s: %v (%s), want %v", what, got, d.Why, c.wait)
		}
	}
}
