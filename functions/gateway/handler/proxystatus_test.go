package handler

import (
	"testing"

	"github.com/dunglas/httpsfv"
	"pgregory.net/rapid"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

func TestProxyStatusHasOneMemberPerAttempt(t *testing.T) {
	for _, c := range []struct {
		attempts []retry.Attempt
		want     string
	}{
		{nil, ""},
		{[]retry.Attempt{{Proxy: "proxy-1", Status: 200}}, "proxy-1; received-status=200"},
		{
			[]retry.Attempt{{Proxy: "proxy-1", Status: 429, Kind: retry.RateLimit, Why: "429", Wait: 2000}, {Proxy: "proxy-2", Status: 200}},
			"proxy-1; received-status=429, proxy-2; received-status=200",
		},
		{
			[]retry.Attempt{{Proxy: "proxy-1", Error: retry.ConnectionRefused, Details: "dial tcp 192.0.2.1:443: connect: connection refused"}},
			`proxy-1; error=connection_refused; details="dial tcp 192.0.2.1:443: connect: connection refused"`,
		},
		{
			[]retry.Attempt{{Proxy: "proxy-20", Error: retry.HTTPResponseBodySize, Status: 200, Details: "too large"}},
			`proxy-20; error=http_response_body_size; received-status=200; details="too large"`,
		},
	} {
		if got := proxyStatus(c.attempts); got != c.want {
			t.Errorf("Proxy-Status is %s, want %s", got, c.want)
		}
	}
}

func TestProxyStatusIsAStructuredFieldWhateverTheDetailsAre(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		attempts := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) retry.Attempt {
			return retry.Attempt{
				Proxy:   rapid.StringMatching(`proxy-[1-9][0-9]?`).Draw(t, "proxy"),
				Status:  rapid.SampledFrom([]int{0, 200, 429, 503}).Draw(t, "status"),
				Error:   rapid.SampledFrom([]retry.ErrorType{"", retry.DNSError, retry.ProxyInternalError}).Draw(t, "error"),
				Details: rapid.String().Draw(t, "details"),
			}
		}), 1, 12).Draw(t, "attempts")
		field := proxyStatus(attempts)
		list, err := httpsfv.UnmarshalList([]string{field})
		if err != nil {
			t.Fatalf("%s is not a list: %v", field, err)
		}
		if len(list) != len(attempts) {
			t.Fatalf("%s has %d members for %d attempts", field, len(list), len(attempts))
		}
		for i, member := range list {
			item, a := member.(httpsfv.Item), attempts[i]
			if item.Value != httpsfv.Token(a.Proxy) {
				t.Fatalf("member %d of %s is called %v", i, field, item.Value)
			}
			status, found := item.Params.Get("received-status")
			if found != (a.Status != 0) || found && status != int64(a.Status) {
				t.Fatalf("member %d of %s has the status %v, want %d", i, field, status, a.Status)
			}
			kind, found := item.Params.Get("error")
			if found != (a.Error != "") || found && kind != httpsfv.Token(a.Error) {
				t.Fatalf("member %d of %s has the error %v, want %s", i, field, kind, a.Error)
			}
			if _, found := item.Params.Get("details"); found != (a.Details != "") {
				t.Fatalf("member %d of %s has details: %v, want %q", i, field, found, a.Details)
			}
		}
	})
}
