package handler

import (
	"net/http"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// limiting is an upstream that answers every request with 429 and a Retry-After of half a minute.
func limiting(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Retry-After", "30")
	w.WriteHeader(http.StatusTooManyRequests)
}

// wantFirstWait checks how long a request is told to wait after the first rate limit that it meets.
func (b *bench) wantFirstWait(t *testing.T, what string, r message.Request, atOnce bool) {
	t.Helper()
	attempts := b.invoke(t, b.call(r)).Attempts
	wait := time.Duration(attempts[len(attempts)-1].Wait) * time.Millisecond
	if (wait == 0) != atOnce || !atOnce && wait < 30*time.Second {
		t.Errorf("%s: the next attempt comes after %v (%s)", what, wait, attempts[len(attempts)-1].Why)
	}
}

func TestAQuickTryInVainSparesTheRequestsAfterItOne(t *testing.T) {
	t.Parallel()
	b := newBench(t, serve(t, limiting))
	get := message.Request{Method: http.MethodGet}
	b.wantFirstWait(t, "at first", get, true)
	b.wantFirstWait(t, "with nothing found out", get, true)

	b.invoke(t, b.call(get, limited)) // the quick try of another proxy's request
	b.wantFirstWait(t, "after a quick try in vain", get, false)

	b.Sleep(t.Context(), 2*time.Minute)
	b.wantFirstWait(t, "two minutes later", get, true)
}

func TestFindingsOfARouteAreItsOwn(t *testing.T) {
	t.Parallel()
	b := newBench(t, serve(t, limiting))
	b.policy.Routes = []retry.Route{{Path: "/search"}, {Methods: []string{http.MethodPut}}}
	b.invoke(t, b.call(message.Request{Method: http.MethodGet, Path: "/search/all"}, limited))
	b.wantFirstWait(t, "the same route", message.Request{Method: http.MethodGet, Path: "/search"}, false)
	b.wantFirstWait(t, "no route", message.Request{Method: http.MethodGet, Path: "/reports"}, true)
	b.wantFirstWait(t, "another route", message.Request{Method: http.MethodPut, Path: "/reports"}, true)
}

func TestWhoHasACredentialMakesNoQuickTry(t *testing.T) {
	t.Parallel()
	for what, r := range map[string]message.Request{
		"Authorization":      {Headers: map[string]string{"authorization": "Bearer canary"}},
		"X-Api-Key":          {Headers: map[string]string{"x-api-key": "canary"}},
		"a key in the query": {Query: "units=metric&appid=canary"},
	} {
		r.Method = http.MethodGet
		newBench(t, serve(t, limiting)).wantFirstWait(t, what, r, false)
	}
	for what, r := range map[string]message.Request{
		"nothing":                  {},
		"a cookie":                 {Headers: map[string]string{"cookie": "theme=dark"}},
		"an empty key":             {Query: "key="},
		"an Idempotency-Key":       {Headers: map[string]string{"idempotency-key": "k1"}},
		"a token that is no key":   {Headers: map[string]string{"x-csrf-token": "canary"}},
		"a parameter of that name": {Query: "q=key"},
	} {
		r.Method = http.MethodGet
		newBench(t, serve(t, limiting)).wantFirstWait(t, what, r, true)
	}
}

func TestAnUpstreamWithOneCredentialForAllGetsNoQuickTry(t *testing.T) {
	t.Parallel()
	for kind, atOnce := range map[message.AuthKind]bool{message.AuthHeader: false, "": true} {
		b := newBench(t, "https://upstream.example")
		b.auth = message.UpstreamAuth{Kind: kind, Certificate: "certificate"}
		call := b.call(message.Request{Method: http.MethodGet}).Call
		request := b.judged(call, b.Now())
		d := b.policy.Next(request, nil, retry.Result{Status: 429, Received: b.Now()}, func() float64 { return 0.5 })
		if (d.Delay == 0) != atOnce {
			t.Errorf("with %q the next attempt comes after %v (%s)", kind, d.Delay, d.Why)
		}
	}
}
