package handler

import (
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/internal/rawupstream"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

// asking has a bench find out its address from a URL. It may call 127.0.0.1 if that is allowed.
func (b *bench) asking(url string, allowed ...netip.Prefix) {
	b.address = newOwnAddress(settings{addressProbe: url}, Dependencies{
		Dial: (&net.Dialer{ControlContext: fence{allowed: allowed}.control}).DialContext, Clock: b, Log: b.log,
	})
}

var thisMachine = netip.MustParsePrefix("127.0.0.1/32")

// attempted makes an attempt, waits until nobody asks for an address any more, and is the address that was told of the attempt.
func (b *bench) attempted(t testing.TB) string {
	t.Helper()
	out := b.invoke(t, b.call(message.Request{Method: "GET"}))
	b.address.settled.Wait()
	return out.Attempts[0].Address
}

func TestAnAttemptDoesNotWaitForTheAddressAndTheNextOneTellsIt(t *testing.T) {
	t.Parallel()
	b := newBench(t, serve(t, func(http.ResponseWriter, *http.Request) {}))
	var asked atomic.Int32
	answer := make(chan string)
	b.asking(serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.Method != "GET" || r.URL.RawQuery != "token=x" {
			t.Errorf("it is asked with %s %s", r.Method, r.URL)
		}
		io.WriteString(w, <-answer)
	})+"/?token=x", thisMachine)
	for range 2 { // while the first request for it is under way, there is no second one
		if out := b.invoke(t, b.call(message.Request{Method: "GET"})); out.Attempts[0].Address != "" {
			t.Errorf("the address is %s before anybody has told it", out.Attempts[0].Address)
		}
	}
	answer <- "192.0.2.7\n"
	b.address.settled.Wait()
	for _, later := range []time.Duration{0, 59 * time.Minute} {
		b.Sleep(t.Context(), later)
		if got := b.attempted(t); got != "192.0.2.7" || asked.Load() != 1 {
			t.Errorf("%v later the address is %q, after it was asked for %d times", later, got, asked.Load())
		}
	}
	line := b.lines(t, "attempt")
	line[0].says(t, map[string]any{"address": nil}, line[0].metrics.Values)
	line[3].says(t, map[string]any{"address": "192.0.2.7"}, line[3].metrics.Values)

	b.Sleep(t.Context(), time.Minute)
	out := b.invoke(t, b.call(message.Request{Method: "GET"}))
	answer <- "192.0.2.8"
	b.address.settled.Wait()
	if got := b.attempted(t); out.Attempts[0].Address != "192.0.2.7" || got != "192.0.2.8" || asked.Load() != 2 {
		t.Errorf("after an hour the address is %q and then %q, after it was asked for %d times", out.Attempts[0].Address, got, asked.Load())
	}
}

func TestAnAddressIsReadFromTextAndFromJSON(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"192.0.2.7":                             "192.0.2.7",
		" 192.0.2.7 \r\n":                       "192.0.2.7",
		"2001:DB8:0:0::7\n":                     "2001:db8::7",
		"::ffff:192.0.2.7":                      "192.0.2.7",
		`{"ip":"192.0.2.7"}`:                    "192.0.2.7",
		`{"origin": "192.0.2.7"}`:               "192.0.2.7",
		`{"ip":"2001:db8::7","x":[]}`:           "2001:db8::7",
		"":                                      "",
		"<html>192.0.2.7</html>":                "",
		`{"origin":"10.0.0.1, 192.0.2.7"}`:      "",
		`{"ip":7}`:                              "",
		`{"address":"192.0.2.7"}`:               "",
		`["192.0.2.7"]`:                         "",
		"192.0.2.7:443":                         "",
		"fe80::1%eth0":                          "",
		"192.0.2.256":                           "",
		"192.0.2.7" + strings.Repeat(" ", 1024): "",
	} {
		if got, err := addressIn([]byte(text)); got != want || (err == nil) != (want != "") {
			t.Errorf("%q is read as %q, error %v; want %q", text, got, err, want)
		}
	}
}

func TestAnAddressThatCannotBeFoundOutCostsALineAndIsAskedForAgainAfterAMinute(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	asks := func(handler http.HandlerFunc) string {
		return serve(t, func(w http.ResponseWriter, r *http.Request) { asked.Add(1); handler(w, r) })
	}
	elsewhere := serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "192.0.2.9") })
	for what, c := range map[string]struct {
		url  string
		says string
	}{
		"a redirect":     {asks(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere, http.StatusFound) }), "302"},
		"an error":       {asks(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503); io.WriteString(w, "192.0.2.9") }), "503"},
		"no address":     {asks(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "MARKER") }), "no IP address"},
		"no end":         {asks(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, strings.Repeat("MARKER", 10_000)) }), "more than 1024 bytes"},
		"a cut":          {asks(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), "connection_terminated"},
		"a closed port":  {"http://" + rawupstream.Closed(t) + "/", "connection_refused"},
		"no certificate": {"https" + strings.TrimPrefix(elsewhere, "http"), "tls_protocol_error"},
	} {
		asked.Store(0)
		b := newBench(t, serve(t, func(http.ResponseWriter, *http.Request) {}))
		b.asking(c.url+"?token=MARKER", thisMachine)
		b.address.address = "192.0.2.1" // of before
		b.attempted(t)
		b.Sleep(t.Context(), 59*time.Second)
		if got := b.attempted(t); got != "" || asked.Load() > 1 {
			t.Errorf("%s: the address is %q, after it was asked for %d times", what, got, asked.Load())
		}
		lines := b.lines(t, "the address of the proxy could not be found out")
		if len(lines) != 1 || !strings.Contains(lines[0].fields["error"].(string), c.says) || strings.Contains(b.logs.String(), "MARKER") {
			t.Errorf("%s: the log is %s; want one line with %q", what, &b.logs, c.says)
		}
		b.Sleep(t.Context(), time.Second)
		b.attempted(t)
		if lines := b.lines(t, "the address of the proxy could not be found out"); len(lines) != 2 {
			t.Errorf("%s: after a minute there are %d lines", what, len(lines))
		}
	}
}

// The probe leaves the proxy no other way than requests have.
func TestAnAddressIsAskedForThroughTheFence(t *testing.T) {
	t.Parallel()
	b := newBench(t, serve(t, func(http.ResponseWriter, *http.Request) {}))
	b.asking(serve(t, func(http.ResponseWriter, *http.Request) { t.Error("an address was called that may not be") }))
	b.attempted(t)
	if got := b.attempted(t); got != "" || !strings.Contains(b.logs.String(), "destination_ip_prohibited") {
		t.Errorf("the address is %q, and the log %s", got, &b.logs)
	}
}

func TestNobodyIsAskedForTheAddressUnlessTheEnvironmentSaysSo(t *testing.T) {
	t.Parallel()
	b := newBench(t, serve(t, func(http.ResponseWriter, *http.Request) {}))
	if got := b.attempted(t); got != "" || b.address.asking || !b.address.next.IsZero() {
		t.Errorf("the address is %q, of %+v", got, b.address)
	}
	variables := map[string]string{"PROXY_NAME": "proxy-1", "PROXY_COUNT": "1", "UPSTREAM_BASE_URL": "https://api.example"}
	for url, want := range map[string]string{
		"":                                       "",
		"https://checkip.amazonaws.com":          "",
		"https://[2001:db8::1]:8443/?t=1":        "",
		"http://127.0.0.1:9000/ip":               "", // of a local stack
		"http://localhost/":                      "",
		"http://checkip.amazonaws.com":           "one of https",
		"ftp://checkip.amazonaws.com":            "one of https",
		"https://user:pass@ip.example/":          "user name",
		"https:///ip":                            "no host",
		"https://ip.example/#a":                  "fragment",
		"checkip.amazonaws.com":                  "no host",
		"https://ip.example/\n":                  "not a URL",
		"https://ip.example/ü":                   "not a URL",
		"https://a/" + strings.Repeat("x", 2048): "2058 bytes",
	} {
		variables["ADDRESS_PROBE_URL"] = url
		s, err := settingsFrom(environment(variables))
		switch {
		case want == "" && (err != nil || s.addressProbe != url):
			t.Errorf("%q is read as %q, error %v", url, s.addressProbe, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), "ADDRESS_PROBE_URL is not usable: ") || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "pass@")):
			t.Errorf("%q: error %v, want one with %q", url, err, want)
		}
	}
}
