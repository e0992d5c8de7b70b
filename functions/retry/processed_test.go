package retry_test

import (
	"encoding/json"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

func TestADecisionSaysWhetherTheUpstreamMayHaveActed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		decision retry.Decision
		want     bool
	}{
		"500":                        {get(t, retry.Policy{}).answers(500), true},
		"503":                        {get(t, retry.Policy{}).answers(503), true},
		"503 with Retry-After":       {get(t, retry.Policy{}).answers(503, "Retry-After: 1"), false},
		"421":                        {get(t, retry.Policy{}).answers(421), false},
		"425":                        {get(t, retry.Policy{}).answers(425), false},
		"404 with Retry-After":       {get(t, retry.Policy{}).answers(404, "Retry-After: 1"), true},
		"403 with Retry-After":       {get(t, retry.Policy{}).answers(403, "Retry-After: 1"), false},
		"408":                        {get(t, retry.Policy{}).answers(408), true},
		"429":                        {get(t, retry.Policy{}).answers(429), false},
		"a refused connection":       {get(t, retry.Policy{}).fails(retry.ConnectionRefused, retry.NotProcessed), false},
		"no answer":                  {get(t, retry.Policy{}).fails(retry.ConnectionReadTimeout, retry.MaybeProcessed), true},
		"500 to a POST":              {post(t, retry.Policy{}).answers(500), true},
		"429 beyond the deadline":    {get(t, retry.Policy{Scope: retry.PerAccount}).answers(429, "Retry-After: 7200"), false},
		"an answer that is too big":  {post(t, retry.Policy{}).fails(retry.HTTPResponseBodySize, retry.MaybeProcessed), true},
		"a certificate that expired": {post(t, retry.Policy{}).fails(retry.TLSCertificateError, retry.NotProcessed), false},
		"200":                        {get(t, retry.Policy{}).answers(200), false},
		"404":                        {get(t, retry.Policy{}).answers(404), false},
	} {
		if c.decision.MaybeProcessed != c.want {
			t.Errorf("%s (%s): may have been processed: %v, want %v", name, c.decision.Why, c.decision.MaybeProcessed, c.want)
		}
	}
}

func TestTheHistoryTellsWhetherTheUpstreamMayHaveActed(t *testing.T) {
	t.Parallel()
	c := get(t, retry.Policy{})
	c.answers(429)
	c.fails(retry.ConnectionReadTimeout, retry.MaybeProcessed)
	c.answers(503, "Retry-After: 0")
	c.answers(500)
	c.answers(200)
	var read []retry.Attempt
	text, err := json.Marshal(c.history)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{false, true, false, true, false} {
		if read[i].MaybeProcessed != want {
			t.Errorf("attempt %d: may have been processed: %v, want %v; it says %s", i+1, read[i].MaybeProcessed, want, text)
		}
	}
}
