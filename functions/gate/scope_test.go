package gate_test

import (
	"strings"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/gate"
)

func TestAScopeIsNamedByWhatItsLimitIsCountedBy(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		key               gate.Key
		credential, route string
		want              string
	}{
		{0, "Bearer secret", "/orders", "upstream"},
		{gate.ByCredential, "", "/orders", "anonymous"},
		// The first half of the SHA-256 of "abc", as FIPS 180-2 has it.
		{gate.ByCredential, "abc", "/orders", "ba7816bf8f01cfea414140de5dae2223"},
		{gate.ByRoute, "abc", "/orders", "%2Forders"},
		{gate.DefaultKey, "abc", "search", "ba7816bf8f01cfea414140de5dae2223.search"},
	} {
		if got := gate.Scope(test.key, test.credential, test.route); got != test.want {
			t.Errorf("by %s: %q, want %q", test.key, got, test.want)
		}
	}
}

func TestNoCredentialAndNoNumberSignStandsInAScopeAndNoneIsLongerThanAKeyMayBe(t *testing.T) {
	t.Parallel()
	long := gate.Scope(gate.DefaultKey, "Bearer secret", "/a#b"+strings.Repeat("/long", 1000))
	if strings.Contains(long, "secret") || strings.Contains(long, "#") || len(long) > 300 {
		t.Errorf("the scope is %q", long)
	}
	if other := gate.Scope(gate.DefaultKey, "Bearer secret", "/a#b"+strings.Repeat("/long", 1001)); other == long {
		t.Error("two long routes have one scope")
	}
}

func TestTheFirstSegmentOfAPath(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{"/orders/7": "/orders", "/orders": "/orders", "/": "/", "": "/", "/v1/charges/": "/v1", "//x": "/"} {
		if got := gate.FirstSegment(path); got != want {
			t.Errorf("%q: %q, want %q", path, got, want)
		}
	}
}

func TestAKeyIsReadAsItIsWritten(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]gate.Key{
		"credential+route": gate.ByCredential | gate.ByRoute, "credential": gate.ByCredential, "route": gate.ByRoute, "upstream": 0,
	} {
		if key, err := gate.ParseKey(text); key != want || err != nil || key.String() != text {
			t.Errorf("%q is read as %v, %v", text, key, err)
		}
	}
	if _, err := gate.ParseKey("tenant"); err == nil || !strings.Contains(err.Error(), "credential+route, credential, route, upstream") {
		t.Errorf("the error is %v, want one that lists what there is", err)
	}
}
